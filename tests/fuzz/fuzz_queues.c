/* A queues file: what is taken is whole, and what is refused is refused in one sentence. */
#include "config/queue_read.h"
#include "config/queue_settings.h"
#include "fuzz.h"

#include <ctype.h>

static void check_text(const struct queue_text *text, int line)
{
    FUZZ_CHECK(text->text != NULL && *text->text != '\0' && text->line >= 0 && text->line <= line);
}

static void check_queue(const struct queue *q, int line)
{
    FUZZ_CHECK(q->name != NULL && strlen(q->name) >= 1 && strlen(q->name) <= QUEUE_NAME_MAX);
    FUZZ_CHECK(q->table.name != NULL && q->table.written != NULL && q->after_us >= 0);
    check_text(&q->id, line);
    check_text(&q->expires_at, line);
    check_text(&q->time_zone, line);
    check_text(&q->active, line);
    bool calls = q->call.name != NULL;
    FUZZ_CHECK((q->deletes || calls) == (q->released.text == NULL));
    FUZZ_CHECK(!calls || (!q->deletes && q->nalso == 0));
    FUZZ_CHECK((q->stock.table.name == NULL) == (q->stock.nkeys == 0));
    for (int i = 0; i < q->stock.nkeys; i++) {
        check_text(&q->stock.keys[i].hold, line);
        check_text(&q->stock.keys[i].counter, line);
    }
    for (int i = 0; i < q->ncarry; i++)
        check_text(&q->carry[i], line);
    for (int i = 0; i < 2 * q->settings.n; i++)
        FUZZ_CHECK(q->settings.all[i] != NULL && *q->settings.all[i] != '\0');
    for (int i = 0; i < q->settings.n; i++)
        FUZZ_CHECK(queue_setting_fault(q->settings.all[2 * i]) == NULL);
    if (q->notify.text != NULL)
        check_text(&q->notify, line);
    const struct queue_keep *keep = &q->keep;
    FUZZ_CHECK(keep->look_again_us > 0 && keep->at_most_us > 0);
    FUZZ_CHECK(keep->condition.text != NULL || (keep->extend_us == 0 && !keep->ends));
    FUZZ_CHECK(keep->extend_us <= keep->at_most_us && (keep->extend_us == 0 || q->after_us == 0));
    for (int i = 0; i < q->nalso; i++)
        FUZZ_CHECK(strstr(q->also[i].text, "{released}") != NULL);
    for (int i = 0; i < q->nverify; i++)
        check_text(&q->verify[i], line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct queue_list list;
    char *text = fuzz_text(data, size);
    char sentence[512];
    const struct config_error error = {sentence, sizeof(sentence)};
    int lines = 1;
    memset(sentence, '#', sizeof(sentence));
    for (size_t i = 0; i < size; i++)
        lines += 1 + (data[i] >= 0x80); /* Unicode has line ends of its own */
    if (queues_parse(&list, "f", text, size, &error) == 0) {
        FUZZ_CHECK(list.n >= 1);
        for (int i = 0; i < list.n; i++)
            check_queue(&list.all[i]->queue, lines);
    } else {
        FUZZ_CHECK(memchr(sentence, '\0', sizeof(sentence)) != NULL);
        FUZZ_CHECK(strncmp(sentence, "f:", 2) == 0);
        for (const char *p = sentence; *p != '\0'; p++)
            FUZZ_CHECK(!iscntrl((unsigned char)*p));
    }
    queue_list_clear(&list);
    free(text);
    return 0;
}
