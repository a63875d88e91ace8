/*
 * A checkout load: customers on connections of their own reserve a piece of a popular product, and
 * every second one buys it; between two checkouts a customer thinks, for 10 ms on average. Two
 * transactions, as examples/api writes them, each timed from BEGIN to COMMIT's answer.
 *
 * checkouts CONNINFO CUSTOMERS PRODUCTS
 * Runs until stdin ends; then prints for each transaction its start in seconds since the epoch and
 * its duration in milliseconds.
 */
#include "bench.h"

#include <libpq-fe.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_CUSTOMERS = 64, MAX_PRODUCTS = 1000, MAX_TRANSACTIONS = 200000 };
#define THINK_S 0.010

static const char products_sql[] =
    "SELECT md5('product ' || k)::uuid FROM generate_series(1, $1::integer) AS k";
static const char take_sql[] = "UPDATE inventory SET available_stock = available_stock - 1,"
                               " reserved_stock = reserved_stock + 1, updated_at = now()"
                               " WHERE product_id = $1::uuid AND available_stock >= 1";
static const char insert_sql[] =
    "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
    " VALUES (gen_random_uuid(), $1::uuid, 1, now() + interval '1 hour') RETURNING id";
static const char lock_sql[] =
    "SELECT status = 'active' AND expires_at > clock_timestamp() FROM inventory_reservations"
    " WHERE id = $1::uuid ORDER BY product_id FOR UPDATE";
static const char sell_sql[] =
    "UPDATE inventory SET reserved_stock = reserved_stock - 1, total_stock = total_stock - 1,"
    " updated_at = now() WHERE product_id = $1::uuid";
static const char committed_sql[] =
    "UPDATE inventory_reservations SET status = 'committed', updated_at = now()"
    " WHERE id = $1::uuid";

struct shop {
    char products[MAX_PRODUCTS][40];
    int n_products;
    atomic_bool closed;
};

struct timing {
    double start_s;
    double took_ms;
};

struct customer {
    PGconn *pg;
    struct shop *shop;
    unsigned short dice[3];
    struct timing *timings;
    int n_timings;
};

static void die(const char *what, PGconn *pg)
{
    fprintf(stderr, "checkouts: %s: %s\n", what, PQerrorMessage(pg));
    exit(1);
}

/* The answer's first value, if it has one, goes to value. */
static void execute(struct customer *c, const char *name, const char *parameter, char value[40])
{
    PGresult *result =
        PQexecPrepared(c->pg, name, parameter != NULL ? 1 : 0, &parameter, NULL, NULL, 0);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        die(name, c->pg);
    if (value != NULL && PQntuples(result) > 0)
        snprintf(value, 40, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
}

static void reserve(struct customer *c, const char *product, char id[40])
{
    execute(c, "begin", NULL, NULL);
    execute(c, "take", product, NULL);
    execute(c, "insert", product, id);
    execute(c, "commit", NULL, NULL);
}

static void buy(struct customer *c, const char *product, const char *id)
{
    char live[40] = "";
    execute(c, "begin", NULL, NULL);
    execute(c, "lock", id, live);
    if (live[0] != 't')
        die("a reservation of an hour is gone", c->pg);
    execute(c, "sell", product, NULL);
    execute(c, "committed", id, NULL);
    execute(c, "commit", NULL, NULL);
}

static void note(struct customer *c, double start_s, double begin_s)
{
    if (c->n_timings < MAX_TRANSACTIONS)
        c->timings[c->n_timings++] =
            (struct timing){start_s, (clock_s(CLOCK_MONOTONIC) - begin_s) * 1000};
}

static void think(struct customer *c)
{
    const double wait_s = -log(1 - erand48(c->dice)) * THINK_S;
    const struct timespec wait = {(time_t)wait_s, (long)((wait_s - floor(wait_s)) * 1e9)};
    nanosleep(&wait, NULL);
}

static void *shop_around(void *arg)
{
    struct customer *c = arg;
    char id[40];
    for (bool buys = true; !atomic_load(&c->shop->closed); buys = !buys) {
        const int pick = (int)(erand48(c->dice) * c->shop->n_products);
        const char *product = c->shop->products[pick];
        think(c);
        double start_s = clock_s(CLOCK_REALTIME);
        double begin_s = clock_s(CLOCK_MONOTONIC);
        reserve(c, product, id);
        note(c, start_s, begin_s);
        if (buys) {
            start_s = clock_s(CLOCK_REALTIME);
            begin_s = clock_s(CLOCK_MONOTONIC);
            buy(c, product, id);
            note(c, start_s, begin_s);
        }
    }
    return NULL;
}

static void prepare(struct customer *c, const char *name, const char *sql)
{
    PGresult *result = PQprepare(c->pg, name, sql, 0, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        die(name, c->pg);
    PQclear(result);
}

static void arrive(struct customer *c, const char *conninfo)
{
    c->pg = PQconnectdb(conninfo);
    if (PQstatus(c->pg) != CONNECTION_OK)
        die("connect", c->pg);
    prepare(c, "begin", "BEGIN");
    prepare(c, "take", take_sql);
    prepare(c, "insert", insert_sql);
    prepare(c, "lock", lock_sql);
    prepare(c, "sell", sell_sql);
    prepare(c, "committed", committed_sql);
    prepare(c, "commit", "COMMIT");
    c->timings = calloc(MAX_TRANSACTIONS, sizeof(*c->timings));
    if (c->timings == NULL)
        die("out of memory", c->pg);
}

static void read_products(struct shop *shop, PGconn *pg, const char *n)
{
    PGresult *result = PQexecParams(pg, products_sql, 1, NULL, &n, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        die("products", pg);
    shop->n_products = PQntuples(result);
    for (int i = 0; i < shop->n_products; i++)
        snprintf(shop->products[i], sizeof(shop->products[i]), "%s", PQgetvalue(result, i, 0));
    PQclear(result);
}

int main(int argc, char **argv)
{
    static struct shop shop;
    static struct customer customers[MAX_CUSTOMERS];
    pthread_t threads[MAX_CUSTOMERS];
    const int n = argc == 4 ? number_up_to(argv[2], MAX_CUSTOMERS) : 0;
    char byte;
    if (n == 0 || number_up_to(argv[3], MAX_PRODUCTS) == 0) {
        fprintf(stderr, "usage: checkouts CONNINFO CUSTOMERS PRODUCTS, until stdin ends\n");
        return 2;
    }
    for (int i = 0; i < n; i++) {
        customers[i] = (struct customer){.shop = &shop, .dice = {0x330e, (unsigned short)i, 1}};
        arrive(&customers[i], argv[1]);
    }
    read_products(&shop, customers[0].pg, argv[3]);
    for (int i = 0; i < n; i++) {
        if (pthread_create(&threads[i], NULL, shop_around, &customers[i]) != 0)
            die("thread", customers[i].pg);
    }
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    atomic_store(&shop.closed, true);
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        for (int k = 0; k < customers[i].n_timings; k++)
            printf("%.6f %.4f\n", customers[i].timings[k].start_s, customers[i].timings[k].took_ms);
        PQfinish(customers[i].pg);
        free(customers[i].timings);
    }
    return 0;
}
