/* The argument that `open` has where it may make a file, as a variable `mode`. */

#include <fcntl.h>
#include <stdarg.h>

#define MODE(flags)                                                                               \
    mode_t mode = 0;                                                                              \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                        \
        va_list rest;                                                                             \
        va_start(rest, flags);                                                                    \
        mode = va_arg(rest, mode_t);                                                              \
        va_end(rest);                                                                             \
    }
