/* Of programs with sanitizers alone. At each exit leaks are looked for, in all data of the program:
 * of that 8 MiB are tables of the sanitizer's own, hardly used, and to read them costs 2,000 page
 * faults, a third of what `--version` takes. In huge pages they are four. Where the kernel cannot
 * (before Linux 6.1), all stays as it was. */
#include <stdint.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define HUGE_PAGE ((uintptr_t)2 << 20)

extern char __bss_start[], _end[]; /* the linker's */

__attribute__((constructor)) static void use_huge_pages(void)
{
    uintptr_t from = ((uintptr_t)__bss_start + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    for (char *page = __bss_start + (from - (uintptr_t)__bss_start); page + HUGE_PAGE <= _end;
         page += HUGE_PAGE)
        if (madvise(page, HUGE_PAGE, MADV_HUGEPAGE) == 0)
            (void)madvise(page, HUGE_PAGE, MADV_COLLAPSE);
}
