/* Prints a generated document, for `make docs`: documents configuration, documents metrics */
#include "base/metric_table.h"
#include "config/config.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(FILE *out);
    } documents[] = {
        {"configuration", config_print_document},
        {"metrics", metrics_print_document},
    };
    for (size_t i = 0; argc == 2 && i < sizeof(documents) / sizeof(documents[0]); i++)
        if (strcmp(argv[1], documents[i].name) == 0) {
            documents[i].print(stdout);
            return fflush(stdout) == 0 ? 0 : 1;
        }
    fputs("usage: documents NAME\n", stderr);
    return 2;
}
