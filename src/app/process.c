/* Descriptors and signals as the process finds them. */
#include "app/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int process_open_streams(void)
{
    int fd = 0;
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR); /* not closed on exec: as any other's */
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

void process_ignore_signals(void)
{
    /* Left alone: what reports an error of the program or a limit (SIGSEGV, SIGABRT, SIGSYS,
     * SIGXCPU), and SIGQUIT. SIGPIPE and SIGXFSZ are errors of write(2) then; so is a terminal that
     * does not want output of the background (SIGTTOU, stty tostop). */
    static const int ignored[] = {SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF,
                                  SIGIO,   SIGPWR,  SIGXFSZ, SIGTTOU, SIGSTKFLT};
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        signal(ignored[i], SIG_IGN);
    for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++)
        signal(signo, SIG_IGN);
}

void process_forbid_cores(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    /* The limit does not count where the kernel hands cores to a program. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

bool process_hangup_ignored(void)
{
    struct sigaction action;
    return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}
