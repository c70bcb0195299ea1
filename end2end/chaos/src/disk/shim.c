/* A disk that fails, put before the system's own calls by LD_PRELOAD. It looks at the usage log's segments alone
   (".../spool/<lane>/<segment>.log" or ".kept"), and keeps a journal of what the disk would have after a loss of power.

   SHIM_JOURNAL      file to which one line is added for each event, by inode:
                       W <inode> <from> <to>   written, not yet on the disk
                       S <inode>               all that was written is on the disk
                       F <inode>               a sync failed: what was written is not on the disk, and the system forgets it
                       L <inode>               the same, but the caller was told that all is well
                       E <inode>               a write failed, with a part of it written or nothing
   SHIM_SYNC_EVERY   of so many syncs one fails (or lies), and the next one too
   SHIM_LIE          set: it lies
   SHIM_WRITE_EVERY  of so many writes one fails, now after a part of it, now at once
   SHIM_ROOM         bytes that all files below SHIM_FOLDER may take together; beyond them, ENOSPC */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ssize_t (*next_write)(int, const void *, size_t);
static ssize_t (*next_pwrite)(int, const void *, size_t, off64_t);
static int (*next_fdatasync)(int);
static int (*next_fsync)(int);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;
static long sync_every, write_every, syncs, writes, room = -1;
static int lies, cut;

__attribute__((constructor)) static void begin(void) {
    next_write = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    next_pwrite = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    next_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    next_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    const char *value = getenv("SHIM_JOURNAL");
    if (value) journal = open(value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if ((value = getenv("SHIM_SYNC_EVERY"))) sync_every = atol(value);
    if ((value = getenv("SHIM_WRITE_EVERY"))) write_every = atol(value);
    if ((value = getenv("SHIM_ROOM"))) room = atol(value);
    lies = getenv("SHIM_LIE") != NULL;
}

/* The inode where the file is a segment of the usage log, else 0. */
static unsigned long segment(int fd, off64_t *size) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 5) return 0;
    path[length] = 0;
    const char *end = strrchr(path, '.');
    if (!strstr(path, "/spool/") || !end || (strcmp(end, ".log") && strcmp(end, ".kept"))) return 0;
    struct stat64 found;
    if (fstat64(fd, &found)) return 0;
    if (size) *size = found.st_size;
    return found.st_ino;
}

static void tell(const char *format, unsigned long inode, long from, long to) {
    char line[128];
    int length = snprintf(line, sizeof line, format, inode, from, to);
    if (journal >= 0) (void)!next_write(journal, line, length);
}

static long used(const char *folder, int depth) {
    DIR *entries = opendir(folder);
    if (!entries) return 0;
    long bytes = 0;
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (entry->d_name[0] == '.') continue;
        char path[4096];
        struct stat64 found;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (stat64(path, &found)) continue;
        if (S_ISDIR(found.st_mode)) bytes += depth > 0 ? used(path, depth - 1) : 0;
        else bytes += found.st_size;
    }
    closedir(entries);
    return bytes;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    off64_t from = 0;
    unsigned long inode = (journal >= 0 || room >= 0) ? segment(fd, &from) : 0;
    if (!inode) return next_write(fd, bytes, count);
    pthread_mutex_lock(&lock);
    ssize_t done;
    const char *folder = getenv("SHIM_FOLDER");
    if (room >= 0 && folder && used(folder, 3) + (long)count > room) {
        errno = ENOSPC;
        done = -1;
    } else if (cut) {
        cut = 0;
        errno = EIO;
        done = -1;
        tell("E %lu\n", inode, 0, 0);
    } else if (write_every && ++writes % write_every == 0) {
        if (writes / write_every % 2 && count > 1) {
            /* A part of it; the caller asks for the rest, and that fails. */
            cut = 1;
            done = next_write(fd, bytes, count / 2);
            if (done > 0) tell("W %lu %ld %ld\n", inode, from, from + done);
        } else {
            errno = EIO;
            done = -1;
            tell("E %lu\n", inode, 0, 0);
        }
    } else {
        done = next_write(fd, bytes, count);
        if (done > 0) tell("W %lu %ld %ld\n", inode, from, from + done);
    }
    int kept = errno;
    pthread_mutex_unlock(&lock);
    errno = kept;
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t from) {
    unsigned long inode = journal >= 0 ? segment(fd, NULL) : 0;
    if (!inode) return next_pwrite(fd, bytes, count, from);
    pthread_mutex_lock(&lock);
    ssize_t done = next_pwrite(fd, bytes, count, from);
    if (done > 0) tell("W %lu %ld %ld\n", inode, from, from + done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t from) { return pwrite64(fd, bytes, count, from); }

static int synced(int fd, int (*next)(int)) {
    unsigned long inode = journal >= 0 ? segment(fd, NULL) : 0;
    if (!inode) return next(fd);
    pthread_mutex_lock(&lock);
    int outcome = 0;
    syncs++;
    if (sync_every && (syncs % sync_every == 0 || (syncs > sync_every && syncs % sync_every == 1))) {
        tell(lies ? "L %lu\n" : "F %lu\n", inode, 0, 0);
        outcome = lies ? 0 : -1;
        errno = EIO;
    } else {
        outcome = next(fd);
        if (!outcome) tell("S %lu\n", inode, 0, 0);
    }
    int kept = errno;
    pthread_mutex_unlock(&lock);
    errno = kept;
    return outcome;
}

int fdatasync(int fd) { return synced(fd, next_fdatasync); }
int fsync(int fd) { return synced(fd, next_fsync); }
