/*
 * The least that a releasing program must do: it holds the ids already, and sends them in batches
 * on some connections. No Redis, no outcome for each id, no lease; a row that is locked is waited
 * for, and a row that is refused ends it all. What is left is Postgres's own work.
 *
 * bare_release CONNINFO CONNECTIONS BATCH < ids, one a line
 * Prints the seconds from the first batch to the last COMMIT, its own processor time, and how many
 * reservations were released.
 */
#include "bench.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { UUID_LEN = 36, MAX_CONNECTIONS = 16, MAX_BATCH = 100000 };

/* Rows first and counters last, in product order: connections wait for each other, for a moment
 * only, and cannot deadlock. */
static const char release_sql[] =
    "WITH gone AS ("
    "  UPDATE inventory_reservations r SET status = 'released', updated_at = now()"
    "    FROM unnest($1::uuid[]) AS a (id)"
    "   WHERE r.id = a.id AND r.status = 'active' AND r.expires_at <= now()"
    "  RETURNING r.product_id, r.quantity"
    "), units AS ("
    "  SELECT product_id, sum(quantity)::integer AS units FROM gone GROUP BY product_id"
    "), held AS MATERIALIZED ("
    "  SELECT i.product_id, u.units FROM inventory i JOIN units u USING (product_id)"
    "   ORDER BY i.product_id FOR NO KEY UPDATE OF i"
    "), stocked AS ("
    "  UPDATE inventory i SET available_stock = available_stock + h.units,"
    "         reserved_stock = reserved_stock - h.units, updated_at = now()"
    "    FROM held h WHERE i.product_id = h.product_id"
    ") SELECT count(*) FROM gone";

struct work {
    char **batches; /* array literals */
    int n_batches;
    atomic_int next;
    atomic_long released;
};

struct connection {
    PGconn *pg;
    struct work *work;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bare_release: %s: %s\n", what, why);
    exit(1);
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The next so many ids of stdin as an array literal, or NULL at its end. */
static char *read_batch(int size)
{
    char *text = malloc((size_t)size * (UUID_LEN + 1) + 2);
    char line[UUID_LEN + 2];
    char *at = text;
    if (text == NULL)
        die("ids", "out of memory");
    *at++ = '{';
    for (int i = 0; i < size && fgets(line, sizeof(line), stdin) != NULL; i++) {
        memcpy(at, line, UUID_LEN);
        at += UUID_LEN;
        *at++ = ',';
    }
    if (at == text + 1) {
        free(text);
        return NULL;
    }
    at[-1] = '}';
    *at = '\0';
    return text;
}

static void read_batches(struct work *work, int size)
{
    char *batch;
    while ((batch = read_batch(size)) != NULL) {
        work->batches =
            realloc(work->batches, (size_t)(work->n_batches + 1) * sizeof(*work->batches));
        if (work->batches == NULL)
            die("ids", "out of memory");
        work->batches[work->n_batches++] = batch;
    }
}

static void *release_all(void *arg)
{
    struct connection *connection = arg;
    struct work *work = connection->work;
    int i;
    while ((i = atomic_fetch_add(&work->next, 1)) < work->n_batches) {
        const char *values[] = {work->batches[i]};
        PGresult *result =
            PQexecParams(connection->pg, release_sql, 1, NULL, values, NULL, NULL, 0);
        if (PQresultStatus(result) != PGRES_TUPLES_OK)
            die("release", PQerrorMessage(connection->pg));
        atomic_fetch_add(&work->released, strtol(PQgetvalue(result, 0, 0), NULL, 10));
        PQclear(result);
    }
    return NULL;
}

static PGconn *connect_to(const char *conninfo)
{
    PGconn *pg = PQconnectdb(conninfo);
    if (PQstatus(pg) != CONNECTION_OK)
        die("connect", PQerrorMessage(pg));
    /* As the sweeper's own release: the planner stays on the indexes, and compiles nothing. */
    PQclear(PQexec(pg, "SET random_page_cost = 1.1; SET jit = off"));
    return pg;
}

int main(int argc, char **argv)
{
    struct work work = {0};
    struct connection connections[MAX_CONNECTIONS];
    pthread_t threads[MAX_CONNECTIONS];
    const int n = argc == 4 ? number_up_to(argv[2], MAX_CONNECTIONS) : 0;
    const int batch = argc == 4 ? number_up_to(argv[3], MAX_BATCH) : 0;
    if (n == 0 || batch == 0) {
        fprintf(stderr, "usage: bare_release CONNINFO CONNECTIONS BATCH < ids\n");
        return 2;
    }
    read_batches(&work, batch);
    for (int i = 0; i < n; i++)
        connections[i] = (struct connection){connect_to(argv[1]), &work};

    const double begin_s = clock_s(CLOCK_MONOTONIC);
    const double begin_cpu_s = cpu_s();
    for (int i = 0; i < n; i++) {
        if (pthread_create(&threads[i], NULL, release_all, &connections[i]) != 0)
            die("thread", "cannot be created");
    }
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    printf("%.6f %.6f %ld\n", clock_s(CLOCK_MONOTONIC) - begin_s, cpu_s() - begin_cpu_s,
           work.released);

    for (int i = 0; i < n; i++)
        PQfinish(connections[i].pg);
    for (int i = 0; i < work.n_batches; i++)
        free(work.batches[i]);
    free(work.batches);
    return 0;
}
