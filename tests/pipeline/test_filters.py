"""The picture of the first layer's filters."""

import numpy as np

from service.pipeline.filters import filter_picture


def test_a_red_filter_is_shown_red_and_zero_is_middle_grey():
    weights = np.zeros((2, 3, 7, 7), np.float32)
    weights[0, 0] = 1.0
    picture = filter_picture(weights)
    blue, green, red = picture[10, 10]
    assert red == 255
    assert blue == green == 128
    assert (picture[10, 7 * 4 + 10] == 128).all()


def test_a_filter_over_many_channels_is_shown_grey():
    picture = filter_picture(np.ones((5, 16, 3, 3), np.float32))
    assert (picture[..., 0] == picture[..., 1]).all()
    assert (picture[..., 1] == picture[..., 2]).all()
