/* LD_PRELOAD stand-in for /dev/udmabuf and the /dev/dma_heap devices: buffers are plain memfds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
struct udmabuf_create { uint32_t memfd, flags; uint64_t offset, size; };
struct heap_alloc { uint64_t len; uint32_t fd, fd_flags; uint64_t heap_flags; };
#define UDMABUF_CREATE 0x40187542UL
#define HEAP_ALLOC     0xc0184800UL
#define DMABUF_SYNC    0x40086200UL
static int dmadev(const char *p) { return p && (!strcmp(p, "/dev/udmabuf") || !strncmp(p, "/dev/dma_heap/", 14)); }
static int fake(void) { return memfd_create("fake-dma-dev", MFD_CLOEXEC); }
#define MODE(last) mode_t m = 0; if (fl & (O_CREAT | O_TMPFILE)) { va_list a; va_start(a, last); m = va_arg(a, int); va_end(a); } \
    if (dmadev(p)) return fake();
#define WRAP_OPEN(name) int name(const char *p, int fl, ...) { MODE(fl) \
    static int (*f)(const char *, int, ...); if (!f) f = dlsym(RTLD_NEXT, #name); return f(p, fl, m); }
#define WRAP_OPENAT(name) int name(int d, const char *p, int fl, ...) { MODE(fl) \
    static int (*f)(int, const char *, int, ...); if (!f) f = dlsym(RTLD_NEXT, #name); return f(d, p, fl, m); }
WRAP_OPEN(open) WRAP_OPEN(open64) WRAP_OPENAT(openat) WRAP_OPENAT(openat64)
int ioctl(int fd, unsigned long req, ...) {
    va_list a; va_start(a, req); void *arg = va_arg(a, void *); va_end(a);
    req &= 0xffffffffUL;
    if (req == UDMABUF_CREATE) return dup(((struct udmabuf_create *)arg)->memfd);
    if (req == HEAP_ALLOC) {
        struct heap_alloc *h = arg;
        int m = memfd_create("fake-dma-heap", MFD_CLOEXEC);
        if (m < 0) return -1;
        if (ftruncate(m, (off_t)h->len) < 0) { close(m); return -1; }
        h->fd = (uint32_t)m; return 0;
    }
    static int (*f)(int, unsigned long, ...);
    if (!f) f = dlsym(RTLD_NEXT, "ioctl");
    int r = f(fd, req, arg);
    if (r < 0 && errno == ENOTTY && (req == DMABUF_SYNC || (req & 0xffff) == 0x6201)) return 0; /* sync, set name */
    return r;
}
