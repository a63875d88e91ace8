/* TLS for the Redis link, by OpenSSL. The server's certificate must be by a trusted authority and
 * for the name that it is known by; nothing is sent before that is proved.
 *
 * What must hold:
 * - OpenSSL's queue of errors is the thread's, and libpq fills it as well: it is emptied before
 * each call whose error is read.
 * - A record is read whole: what is not asked for stays with the kernel, which will say so again.
 */
#include "link/redis_link_private.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* A server that is known by a name may have its address in its certificate instead: that is whom
 * the connection goes to. */
static int on_certificate(int ok, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const char *address = SSL_get_app_data(ssl);
    if (ok == 1 || address == NULL ||
        X509_STORE_CTX_get_error(store) != X509_V_ERR_HOSTNAME_MISMATCH ||
        X509_check_ip_asc(X509_STORE_CTX_get_current_cert(store), address, 0) != 1)
        return ok;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

static SSL_CTX *new_context(const char *ca_file)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_certificate);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION); /* of TLS 1.2: Redis never asks for it */
    /* What is written again may have moved, and there may be more of it. */
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
        (ca_file != NULL ? SSL_CTX_load_verify_locations(ctx, ca_file, NULL)
                         : SSL_CTX_set_default_verify_paths(ctx)) == 1)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

static bool expect_name(SSL *ssl, const char *name)
{
    /* An address is compared with the certificate's addresses, and never sent as a server name. */
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
        return true;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct ssl_st *redis_tls_new(int fd, const char *name, const char *address, const char *ca_file,
                             char *why)
{
    SSL_CTX *ctx;
    SSL *ssl;
    ERR_clear_error();
    ctx = new_context(ca_file); /* anew for each connection: the CA file may have been renewed */
    if (ctx == NULL) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        snprintf(why, REDIS_REASON_SIZE, "TLS: %s is not usable: %s",
                 ca_file != NULL ? ca_file : "the system's list of CAs",
                 reason != NULL ? reason : "out of memory");
        return NULL;
    }
    ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    if (ssl == NULL || !expect_name(ssl, name) || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        snprintf(why, REDIS_REASON_SIZE, "TLS: no session for the name \"%s\" could be made", name);
        return NULL;
    }
    SSL_set_app_data(ssl, (void *)address); /* only read */
    SSL_set_connect_state(ssl);
    return ssl;
}

void redis_tls_free(struct ssl_st *ssl)
{
    SSL_free(ssl);
}

bool redis_tls_greeted(const struct ssl_st *ssl)
{
    char none;
    return SSL_get_peer_finished(ssl, &none, 0) > 0; /* also when it has failed since */
}

/* The certificate's fault, where it is at fault. */
static void explain_certificate(const SSL *ssl, char *why)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const char *reason = X509_verify_cert_error_string(SSL_get_verify_result(ssl));
    if (name != NULL)
        snprintf(why, REDIS_REASON_SIZE, "TLS: the certificate is not accepted for \"%s\": %s",
                 name, reason);
    else
        snprintf(why, REDIS_REASON_SIZE, "TLS: the certificate is not accepted: %s", reason);
}

/* Why a call has failed for good; `error` as SSL_get_error says. */
static void explain(const SSL *ssl, int error, int system_error, char *why)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    bool ended = error == SSL_ERROR_ZERO_RETURN ||
                 (error == SSL_ERROR_SYSCALL && code == 0 && system_error == 0) ||
                 ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    if (SSL_get_verify_result(ssl) != X509_V_OK)
        explain_certificate(ssl, why);
    else if (ended)
        snprintf(why, REDIS_REASON_SIZE, "%s",
                 redis_tls_greeted(ssl) ? REDIS_CLOSED : "TLS: the server ended the TLS handshake");
    else if (error == SSL_ERROR_SYSCALL && code == 0)
        snprintf(why, REDIS_REASON_SIZE, "%s", strerror(system_error));
    else if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
        snprintf(why, REDIS_REASON_SIZE, "TLS: the server does not speak TLS at this port");
    else
        snprintf(why, REDIS_REASON_SIZE, "TLS: %s", reason != NULL ? reason : "out of memory");
}

/* What a call has come to that got nothing. -1 with `why` when it has failed for good, else 0. */
static ssize_t judge(SSL *ssl, int result, enum redis_wait *wait, char *why)
{
    int system_error = errno;
    int error = SSL_get_error(ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        *wait = error == SSL_ERROR_WANT_READ ? REDIS_WAIT_READABLE : REDIS_WAIT_WRITABLE;
        return 0;
    }
    explain(ssl, error, system_error, why);
    return -1;
}

ssize_t redis_tls_read(struct ssl_st *ssl, char *out, size_t size, enum redis_wait *wait, char *why)
{
    size_t n = 0;
    int result;
    *wait = REDIS_WAIT_READABLE;
    ERR_clear_error();
    errno = 0;
    result = SSL_read_ex(ssl, out, size, &n);
    return result == 1 ? (ssize_t)n : judge(ssl, result, wait, why);
}

ssize_t redis_tls_write(struct ssl_st *ssl, const char *bytes, size_t n, enum redis_wait *wait,
                        char *why)
{
    size_t written = 0;
    int result;
    *wait = REDIS_WAIT_WRITABLE;
    ERR_clear_error();
    errno = 0;
    result = SSL_write_ex(ssl, bytes, n, &written);
    return result == 1 ? (ssize_t)written : judge(ssl, result, wait, why);
}
