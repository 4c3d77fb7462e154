"""A stand-in for the system's pykms, which picamera2 imports for a preview that nothing here shows."""


class _AnyName(type):
    def __getattr__(cls, name):
        return name


class PixelFormat(metaclass=_AnyName):
    pass
