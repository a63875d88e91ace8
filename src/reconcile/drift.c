/* Stock counters that drifted. */
#include "reconcile/drift.h"

#include <stdlib.h>
#include <string.h>

int drift_name(struct drift *d)
{
    size_t size = 1;
    char *at;
    for (int i = 0; i < d->keys; i++)
        size += strlen(d->key[i]) + 1;
    d->product = at = malloc(size);
    for (int i = 0; at != NULL && i < d->keys; i++) {
        size_t len = strlen(d->key[i]);
        if (i > 0)
            *at++ = ',';
        memcpy(at, d->key[i], len + 1);
        at += len;
    }
    return at != NULL ? 0 : -1;
}

void drift_clear(struct drift *d)
{
    for (int i = 0; i < QUEUE_KEYS_MAX; i++)
        free(d->key[i]);
    free(d->product);
}

struct amount drift_available(const struct drift *d)
{
    struct amount left = d->total.known ? d->total : d->available;
    const struct units sum = units_negated(&d->sum.units);
    if (!d->total.known)
        units_add(&left.units, &d->reserved.units);
    units_add(&left.units, &sum);
    left.known = left.known && d->summed;
    return left;
}

const char *drift_why_not(const struct drift *d, bool hidden)
{
    if (hidden)
        return "row security is in force for this role, and may hide reservations or counters";
    if (d->counters > 1)
        return "the product has more than one row";
    if (!d->summed)
        return "the quantity of an active reservation is NULL or no number";
    return NULL;
}

static json_t *amount_json(const struct amount *a)
{
    if (!a->known)
        return json_null();
    return a->units.nano == 0 ? json_integer(a->units.whole) : json_real(units_real(&a->units));
}

static json_t *counters_json(const struct drift *d, const struct amount *available,
                             const struct amount *reserved)
{
    json_t *o = json_object();
    if (d->total.known)
        json_object_set_new(o, "totalStock", amount_json(&d->total));
    if (!d->held_alone)
        json_object_set_new(o, "availableStock", amount_json(available));
    json_object_set_new(o, "reservedStock", amount_json(reserved));
    return o;
}

json_t *drift_expected(const struct drift *d, const char *reason)
{
    const struct amount available = drift_available(d);
    const struct amount reserved = {d->summed, d->sum.units};
    return reason == NULL ? counters_json(d, &available, &reserved) : NULL;
}

json_t *drift_found(const struct drift *d, const char *reason)
{
    json_t *o = counters_json(d, &d->available, &d->reserved);
    if (d->counters > 1)
        json_object_set_new(o, "counterRows", json_integer(d->counters));
    if (reason != NULL)
        json_object_set_new(o, "notRepairable", json_string(reason));
    return o;
}

enum drift_answer drift_answer(bool done, const char *sqlstate)
{
    if (done)
        return DRIFT_DONE;
    if (strcmp(sqlstate, "55P03") == 0 || strncmp(sqlstate, "40", 2) == 0)
        return DRIFT_LOCKED;
    if (strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0)
        return DRIFT_REFUSED;
    return DRIFT_FAULT;
}
