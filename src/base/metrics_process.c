/* What /proc says of this process, by the names that Prometheus's own clients use. */
#include "base/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The fields of /proc/self/stat that are wanted, by their numbers in proc(5) less 3. */
enum { STAT_UTIME = 11, STAT_STIME = 12, STAT_START = 19, STAT_VSIZE = 20, STAT_RSS = 21 };

static int read_stat(double *fields, int n)
{
    char line[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (file == NULL)
        return -1;
    char *read = fgets(line, sizeof(line), file);
    fclose(file);
    /* The command's name, in brackets, may hold blanks and brackets; after it, the state. */
    char *at = read != NULL ? strrchr(line, ')') : NULL;
    if (at == NULL)
        return -1;
    char *rest = NULL;
    int i = 0;
    for (char *word = strtok_r(at + 1, " \n", &rest); word != NULL && i < n;
         word = strtok_r(NULL, " \n", &rest), i++)
        fields[i] = strtod(word, NULL); /* 0 for the state, a letter */
    return i == n ? 0 : -1;
}

/* When the host was started, seconds since the epoch; 0: not known. */
static double boot_time(void)
{
    char line[256];
    double seconds = 0;
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL)
        return 0;
    while (seconds <= 0 && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "btime ", 6) == 0)
            seconds = strtod(line + 6, NULL);
    fclose(file);
    return seconds;
}

/* -1: not known. */
static int open_descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return -1;
    const struct dirent *entry;
    // cppcheck-suppress readdirCalled
    while ((entry = readdir(dir)) != NULL)
        n += entry->d_name[0] != '.' ? 1 : 0;
    closedir(dir);
    return n - 1; /* the folder itself was open */
}

void metrics_process(struct metrics *m)
{
    double fields[STAT_RSS + 1] = {0};
    double ticks = (double)sysconf(_SC_CLK_TCK);
    double booted = boot_time();
    int descriptors = open_descriptors();
    struct rlimit limit;
    if (read_stat(fields, STAT_RSS + 1) == 0) {
        metrics_single(m, METRIC_PROCESS_CPU, (fields[STAT_UTIME] + fields[STAT_STIME]) / ticks);
        metrics_single(m, METRIC_PROCESS_RESIDENT,
                       fields[STAT_RSS] * (double)sysconf(_SC_PAGESIZE));
        metrics_single(m, METRIC_PROCESS_VIRTUAL, fields[STAT_VSIZE]);
        if (booted > 0)
            metrics_single(m, METRIC_PROCESS_START, booted + fields[STAT_START] / ticks);
    }
    if (descriptors >= 0)
        metrics_single(m, METRIC_PROCESS_OPEN_FDS, descriptors);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metrics_single(m, METRIC_PROCESS_MAX_FDS, (double)limit.rlim_cur);
}
