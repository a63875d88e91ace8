/* Prints what is made from the program's tables: documents configuration, metrics, bash, zsh; or
 * the manual page, of which it reads what stands there: documents manual FILE */
#include "base/metric_table.h"
#include "config/config.h"
#include "config/generated.h"

#include <stdio.h>
#include <string.h>

static int print_manual(const char *path)
{
    FILE *page = fopen(path, "r");
    char error[160] = "it cannot be read";
    int rc = page == NULL ? -1 : config_print_manual(stdout, page, error, sizeof(error));
    if (page != NULL)
        fclose(page);
    if (rc != 0)
        fprintf(stderr, "%s: %s\n", path, error);
    return rc == 0 && fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(FILE *out);
    } documents[] = {
        {"configuration", config_print_document},
        {"metrics", metrics_print_document},
        {"bash", config_print_bash},
        {"zsh", config_print_zsh},
    };
    if (argc == 3 && strcmp(argv[1], "manual") == 0)
        return print_manual(argv[2]);
    for (size_t i = 0; argc == 2 && i < sizeof(documents) / sizeof(documents[0]); i++)
        if (strcmp(argv[1], documents[i].name) == 0) {
            documents[i].print(stdout);
            return fflush(stdout) == 0 ? 0 : 1;
        }
    fputs("usage: documents NAME [FILE]\n", stderr);
    return 2;
}
