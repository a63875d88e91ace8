/* The link over TLS, against a server of this program's own, on a thread, that does what Redis
 * never would: keys that change, a handshake byte by byte, an end in the middle. Whose certificates
 * are trusted: tests/integration/test_tls.py. */
#include "base/parse.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "link/redis_link.h"
#include "unit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWERS 3

static struct fixture {
    /* the server's */
    SSL_CTX *ctx;
    int listener;
    void (*play)(SSL *ssl, int fd);
    pthread_t thread;
    sem_t asked; /* the link has been asked for all that there is */

    /* the link's */
    struct loop *loop;
    struct redis_url url;
    struct redis_link *link;
    struct timer *ask, *end;
    size_t asked_for; /* words, of as many letters as this: */
    size_t word_len;
    bool one_a_turn; /* the former is on its way by half, if it is long */
    char answers[ANSWERS + 1];
    char reason[256]; /* of the loss */
} f;

static char ca_path[] = "/tmp/test_redis_tls.XXXXXX";

/* For the server's thread, where cmocka's assertions are of no use. */
static void must(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "the server: %s\n", what);
    ERR_print_errors_fp(stderr);
    abort();
}

/* ---- the server ---- */

static void make_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
    int fd = mkstemp(ca_path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    assert_true(key != NULL && cert != NULL && names != NULL && file != NULL);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"a server", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_set_pubkey(cert, key);
    X509_add_ext(cert, names, -1);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509(file, cert), 1);
    assert_int_equal(fclose(file), 0);
    f.ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(f.ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(f.ctx, key), 1);
    X509_EXTENSION_free(names);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void *serve(void *arg)
{
    int fd = accept(f.listener, NULL, NULL);
    SSL *ssl = SSL_new(f.ctx);
    (void)arg;
    must(fd >= 0 && ssl != NULL && SSL_set_fd(ssl, fd) == 1, "no connection");
    SSL_set_accept_state(ssl);
    f.play(ssl, fd);
    SSL_free(ssl);
    close(fd);
    return NULL;
}

static void read_whole(SSL *ssl, char *out, size_t n)
{
    size_t got;
    for (size_t at = 0; at < n; at += got)
        must(SSL_read_ex(ssl, out + at, n - at, &got) == 1, "a read failed");
}

static void write_whole(SSL *ssl, const char *bytes, size_t n)
{
    size_t written;
    must(SSL_write_ex(ssl, bytes, n, &written) == 1 && written == n, "a write failed");
}

static void greet(SSL *ssl)
{
    static const char greeting[] =
        "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$19\r\nreservation-sweeper\r\n"
        "*1\r\n$4\r\nINFO\r\n";
    char text[sizeof(greeting)] = "";
    read_whole(ssl, text, sizeof(greeting) - 1);
    must(strcmp(text, greeting) == 0, "another greeting");
    write_whole(ssl, "+OK\r\n+OK\r\n", 10);
}

/* Takes n words, which are all of one letter, and gives them back. */
static void echo(SSL *ssl, int n)
{
    static const char verb[] = "*2\r\n$4\r\nECHO\r\n";
    const size_t verb_len = sizeof(verb) - 1;
    char head[64];
    size_t head_len = (size_t)snprintf(head, sizeof(head), "%s$%zu\r\n", verb, f.word_len);
    size_t size = head_len + f.word_len + 2;
    char *command = malloc(size);
    must(command != NULL, "no memory");
    for (int i = 0; i < n; i++) {
        const char *word = command + head_len;
        read_whole(ssl, command, size);
        must(memcmp(command, head, head_len) == 0, "another command");
        for (size_t at = 1; at < f.word_len; at++)
            must(word[at] == word[0], "not the word that was asked for");
        write_whole(ssl, command + verb_len, size - verb_len);
    }
    free(command);
}

/* ---- the link ---- */

static void on_answer(void *arg, const struct redis_reply *reply, const char *error)
{
    const char *letter = arg;
    size_t len;
    const char *word = redis_reply_str(reply, &len);
    assert_int_equal(reply == NULL, error != NULL);
    if (reply != NULL) {
        assert_int_equal(len, f.word_len);
        assert_true(word[0] == *letter && word[len - 1] == *letter);
    }
    strncat(f.answers, reply != NULL ? letter : "!", 1);
    if (reply != NULL && strlen(f.answers) == ANSWERS)
        loop_stop(f.loop);
}

static void on_ask(void *arg)
{
    static const char *const letters[ANSWERS] = {"a", "b", "c"};
    char *word = malloc(f.word_len);
    const char *words[] = {"ECHO", word};
    const size_t lengths[] = {4, f.word_len};
    (void)arg;
    assert_non_null(word);
    do {
        const char *letter = letters[f.asked_for++];
        memset(word, *letter, f.word_len);
        assert_int_equal(redis_link_command(f.link, on_answer, (void *)letter, 2, words, lengths),
                         0);
    } while (!f.one_a_turn && f.asked_for < ANSWERS);
    free(word);
    if (f.asked_for < ANSWERS)
        timer_after_us(f.ask, 0);
    else
        sem_post(&f.asked);
}

static void on_state(void *arg, enum redis_state state, const char *reason)
{
    (void)arg;
    if (state == REDIS_LINK_UP) {
        on_ask(NULL);
        return;
    }
    snprintf(f.reason, sizeof(f.reason), "%s", reason);
    loop_stop(f.loop);
}

static void on_end(void *arg)
{
    (void)arg;
    fail_msg("it did not end: '%s' answered", f.answers);
}

static const struct redis_address *same_address(void *arg)
{
    return arg;
}

/* Until there are all answers, or the link is lost. */
static void run(void (*play)(SSL *ssl, int fd), size_t word_len, int64_t connect_timeout_us)
{
    static const struct redis_single single = {same_address, &f.url.server};
    const struct redis_link_options options = {
        .source = redis_source_single(&single),
        .ca_file = ca_path,
        .connect_timeout_us = connect_timeout_us,
        .command_timeout_us = within_us(10 * SECOND_US),
        .backoff_min_us = 60 * SECOND_US,
        .backoff_max_us = 60 * SECOND_US,
        .on_state = on_state,
    };
    sem_init(&f.asked, 0, 0);
    f.play = play;
    f.asked_for = 0;
    f.word_len = word_len;
    f.answers[0] = f.reason[0] = '\0';
    assert_int_equal(pthread_create(&f.thread, NULL, serve, NULL), 0);
    f.loop = loop_new();
    f.link = redis_link_new(f.loop, &options);
    f.ask = timer_new(f.loop, on_ask, NULL);
    f.end = timer_new(f.loop, on_end, NULL);
    assert_true(f.link != NULL && f.ask != NULL && f.end != NULL);
    timer_after_us(f.end, within_us(20 * SECOND_US));
    redis_link_start(f.link);
    assert_int_equal(loop_run(f.loop), 0);
    redis_link_free(f.link);
    timer_free(f.ask);
    timer_free(f.end);
    loop_free(f.loop);
    assert_int_equal(pthread_join(f.thread, NULL), 0);
    sem_destroy(&f.asked);
}

static int begin(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    char url[64];
    const char *why = NULL;
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    make_certificate();
    f.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(f.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(f.listener, 1), 0);
    assert_int_equal(getsockname(f.listener, (struct sockaddr *)&address, &size), 0);
    snprintf(url, sizeof(url), "rediss://127.0.0.1:%d", ntohs(address.sin_port));
    return parse_redis_url(url, &f.url, &why);
}

static int end(void **state)
{
    (void)state;
    redis_url_clear(&f.url);
    SSL_CTX_free(f.ctx);
    close(f.listener);
    return unlink(ca_path);
}

#define SOON_US within_us(10 * SECOND_US)

/* ---- what must not matter ---- */

static void change_keys(SSL *ssl, int fd)
{
    (void)fd;
    greet(ssl);
    echo(ssl, 1);
    must(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1, "keys");
    echo(ssl, 2);
}

static void test_keys_that_change(void **state)
{
    (void)state;
    run(change_keys, 100, SOON_US);
    assert_string_equal(f.answers, "abc");
}

static void listen_late(SSL *ssl, int fd)
{
    (void)fd;
    greet(ssl);
    sem_wait(&f.asked); /* more than the sockets' buffers hold: the link has to wait */
    echo(ssl, ANSWERS);
}

static void test_more_than_the_socket_takes(void **state)
{
    (void)state;
    f.one_a_turn = true;
    run(listen_late, 12 * 1024 * 1024, SOON_US);
    assert_string_equal(f.answers, "abc");
    f.one_a_turn = false;
    run(listen_late, 1, SOON_US); /* and the next connection is a new one */
    assert_string_equal(f.answers, "abc");
}

/* What the server says in the handshake goes into memory first, and from there out: n bytes of it,
 * one at a time. */
static void greet_in_bytes(SSL *ssl, int fd, size_t n)
{
    BIO *out = BIO_new(BIO_s_mem());
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    int result;
    char byte;
    SSL_set0_wbio(ssl, out);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    do {
        result = SSL_do_handshake(ssl);
        must(result == 1 || SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ, "no handshake");
        for (; n > 0 && BIO_read(out, &byte, 1) == 1; n--)
            must(write(fd, &byte, 1) == 1, "a byte is not taken");
    } while (result != 1 && n > 0 && poll(&readable, 1, -1) == 1);
    fcntl(fd, F_SETFL, 0);
    SSL_set_wfd(ssl, fd);
}

static void greet_slowly(SSL *ssl, int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    SSL_set_num_tickets(ssl, 0);
    greet_in_bytes(ssl, fd, SIZE_MAX);
    greet(ssl);
    echo(ssl, ANSWERS);
}

static void test_a_handshake_in_single_bytes(void **state)
{
    (void)state;
    run(greet_slowly, 10, SOON_US);
    assert_string_equal(f.answers, "abc");
}

/* ---- what ends the connection ---- */

static void stall(SSL *ssl, int fd)
{
    greet_in_bytes(ssl, fd, 100);
    while (read(fd, &(char){0}, 1) > 0)
        continue;
}

static void test_a_handshake_that_stalls(void **state)
{
    (void)state;
    run(stall, 10, within_us(200 * MS_US));
    assert_string_equal(f.answers, "");
    assert_memory_equal(f.reason, "TLS: no answer to the TLS handshake within ", 43);
}

static void leave_amid_an_answer(SSL *ssl, int fd)
{
    (void)fd;
    greet(ssl);
    echo(ssl, 1);
    write_whole(ssl, "$10\r\nbbb", 8);
    SSL_shutdown(ssl);
    sem_wait(&f.asked);
}

static void half_close_amid_an_answer(SSL *ssl, int fd)
{
    greet(ssl);
    echo(ssl, 1);
    write_whole(ssl, "$10\r\nbbb", 8);
    shutdown(fd, SHUT_WR); /* without a word: somebody may have cut it */
    sem_wait(&f.asked);
}

static void test_an_end_amid_an_answer(void **state)
{
    (void)state;
    run(leave_amid_an_answer, 10, SOON_US);
    assert_string_equal(f.answers, "a!!");
    assert_string_equal(f.reason, "the server closed the connection");
    run(half_close_amid_an_answer, 10, SOON_US);
    assert_string_equal(f.answers, "a!!");
    assert_string_equal(f.reason, "the server closed the connection");
}

static void leave_before_the_handshake(SSL *ssl, int fd)
{
    char hello[64];
    (void)ssl;
    must(read(fd, hello, sizeof(hello)) > 0, "no handshake");
    shutdown(fd, SHUT_WR);
    while (read(fd, hello, sizeof(hello)) > 0)
        continue;
}

static void test_a_server_that_ends_the_handshake(void **state)
{
    (void)state;
    run(leave_before_the_handshake, 10, SOON_US);
    assert_string_equal(f.reason, "TLS: the server ended the TLS handshake");
}

static void speak_plainly(SSL *ssl, int fd)
{
    char hello[4096];
    (void)ssl;
    must(read(fd, hello, sizeof(hello)) > 0, "no handshake");
    must(write(fd, "-ERR unknown command\r\n", 22) == 22, "no answer");
    while (read(fd, hello, sizeof(hello)) > 0)
        continue;
}

static void test_a_server_without_tls(void **state)
{
    (void)state;
    run(speak_plainly, 10, SOON_US);
    assert_string_equal(f.reason, "TLS: the server does not speak TLS at this port");
}

static void ask_to_negotiate_again(SSL *ssl, int fd)
{
    (void)fd;
    greet(ssl);
    echo(ssl, 1);
    must(SSL_version(ssl) == TLS1_2_VERSION && SSL_renegotiate(ssl) == 1, "no renegotiation");
    (void)SSL_do_handshake(ssl);
    while (SSL_read(ssl, &(char){0}, 1) > 0) /* what was asked, then the refusal */
        continue;
}

static void test_a_renegotiation(void **state)
{
    (void)state;
    SSL_CTX_set_max_proto_version(f.ctx, TLS1_2_VERSION);
    run(ask_to_negotiate_again, 10, SOON_US);
    SSL_CTX_set_max_proto_version(f.ctx, 0);
    assert_string_equal(f.answers, "a!!");
    assert_memory_equal(f.reason, "TLS: ", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_that_change),
        cmocka_unit_test(test_more_than_the_socket_takes),
        cmocka_unit_test(test_a_handshake_in_single_bytes),
        cmocka_unit_test(test_a_handshake_that_stalls),
        cmocka_unit_test(test_an_end_amid_an_answer),
        cmocka_unit_test(test_a_server_that_ends_the_handshake),
        cmocka_unit_test(test_a_server_without_tls),
        cmocka_unit_test(test_a_renegotiation),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
