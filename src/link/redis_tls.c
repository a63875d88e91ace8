/* TLS for the Redis link. hiredis's own set-up checks a certificate's signature but not whose it
 * is, so the session is made here and handed over. */
#include "link/redis_link_private.h"

#include <stdio.h>

#ifdef HAVE_HIREDIS_SSL

#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

bool redis_link_has_tls(void)
{
    return true;
}

static SSL_CTX *new_context(const char *ca_file)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
        (ca_file != NULL ? SSL_CTX_load_verify_locations(ctx, ca_file, NULL)
                         : SSL_CTX_set_default_verify_paths(ctx)) == 1)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

static bool expect_host(SSL *ssl, const char *host)
{
    /* An address is compared with the certificate's addresses, and never sent as a server name. */
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
        return true;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int redis_tls_start(redisContext *context, const char *host, const char *ca_file,
                    struct ssl_st **ssl, char *why, size_t why_size)
{
    SSL_CTX *ctx;
    SSL *session;
    ERR_clear_error();
    ctx = new_context(ca_file); /* anew for each connection: the CA file may have been renewed */
    if (ctx == NULL) {
        snprintf(why, why_size, "TLS: %s is not usable: %s",
                 ca_file != NULL ? ca_file : "the system's list of CAs",
                 ERR_reason_error_string(ERR_peek_last_error()));
        return -1;
    }
    session = SSL_new(ctx);
    SSL_CTX_free(ctx);
    if (session == NULL || !expect_host(session, host)) {
        SSL_free(session);
        snprintf(why, why_size, "TLS: no session for this host name could be made");
        return -1;
    }
    ERR_clear_error();
    if (redisInitiateSSL(context, session) != REDIS_OK) {
        const char *reason = redis_tls_error(session);
        snprintf(why, why_size, "TLS: %s", reason != NULL ? reason : context->errstr);
        SSL_free(session);
        return -1;
    }
    *ssl = session;
    return 0;
}

void redis_tls_prepare(const struct ssl_st *ssl)
{
    if (ssl != NULL)
        ERR_clear_error();
}

bool redis_tls_wants_read(const struct ssl_st *ssl)
{
    return ssl != NULL && SSL_want_read(ssl);
}

bool redis_tls_wants_write(const struct ssl_st *ssl)
{
    return ssl != NULL && SSL_want_write(ssl);
}

const char *redis_tls_error(const struct ssl_st *ssl)
{
    const char *reason;
    if (ssl == NULL)
        return NULL;
    if (SSL_get_verify_result(ssl) != X509_V_OK)
        return X509_verify_cert_error_string(SSL_get_verify_result(ssl));
    reason = ERR_reason_error_string(ERR_peek_last_error());
    if (reason == NULL && !SSL_is_init_finished(ssl))
        reason = "the server ended the TLS handshake";
    return reason;
}

#else

bool redis_link_has_tls(void)
{
    return false;
}

int redis_tls_start(redisContext *context, const char *host, const char *ca_file,
                    struct ssl_st **ssl, char *why, size_t why_size)
{
    (void)context;
    (void)host;
    (void)ca_file;
    *ssl = NULL;
    snprintf(why, why_size, "this build has no TLS for Redis");
    return -1;
}

void redis_tls_prepare(const struct ssl_st *ssl)
{
    (void)ssl;
}

bool redis_tls_wants_read(const struct ssl_st *ssl)
{
    (void)ssl;
    return false;
}

bool redis_tls_wants_write(const struct ssl_st *ssl)
{
    (void)ssl;
    return false;
}

const char *redis_tls_error(const struct ssl_st *ssl)
{
    (void)ssl;
    return NULL;
}

#endif
