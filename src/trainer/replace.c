/* replace.c - replaces a file atomically and durably: temporary file, fsync, rename, fsync of the folder. */
#include "trainer/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_all(int fd, const void *data, size_t bytes)
{
    const char *from = data;

    while (bytes > 0) {
        ssize_t put = write(fd, from, bytes);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        from += put;
        bytes -= (size_t)put;
    }
    return true;
}

static bool write_file(const char *path, const void *data, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0)
        return false;
    bool ok = write_all(fd, data, bytes) && fsync(fd) == 0;
    int saved = errno;
    if (close(fd) != 0 && ok) {
        saved = errno;
        ok = false;
    }
    errno = saved;
    return ok;
}

/* Makes the rename itself durable. Some file systems cannot do this to a folder; the file is whole even so. */
static void sync_folder(const char *path)
{
    char copy[PATH_MAX];

    (void)snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

static bool name_temporary(const char *path, char temporary[PATH_MAX], train_failure *failure)
{
    int length = snprintf(temporary, PATH_MAX, "%s.tmp", path);

    return (length >= 0 && length < PATH_MAX) ||
           train_fail(failure, "cannot write %.64s...: the name is too long", path);
}

bool train_file_check(const char *path, train_failure *failure)
{
    char temporary[PATH_MAX];
    struct stat there;

    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode))
        return train_fail(failure, "cannot write %s: there is something that is not a regular file", path);
    if (!name_temporary(path, temporary, failure))
        return false;
    bool written = write_file(temporary, NULL, 0);
    int reason = errno;

    (void)unlink(temporary);
    return written || train_fail(failure, "cannot write %s: %s", path, strerror(reason));
}

bool train_file_replace(const char *path, const void *data, size_t bytes, train_failure *failure)
{
    char temporary[PATH_MAX];

    if (!name_temporary(path, temporary, failure))
        return false;
    if (!write_file(temporary, data, bytes) || rename(temporary, path) != 0) {
        int reason = errno;

        (void)unlink(temporary);
        return train_fail(failure, "cannot write %s: %s", path, strerror(reason));
    }
    sync_folder(path);
    return true;
}
