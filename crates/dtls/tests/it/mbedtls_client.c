/* A client on mbedTLS 2.28 that does not say which oldest version it speaks, as some applications on it do not. Its
   first record then has version 0xFE00. It says one thing, prints the answer and closes.

   mbedtls_client <port> <cipher suite, in hexadecimal> */

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/timing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int talk(mbedtls_ssl_context *ssl) {
    const char *question = "is the lamp on";
    unsigned char answer[256];
    int result;
    do {
        result = mbedtls_ssl_handshake(ssl);
    } while (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE);
    if (result != 0 || mbedtls_ssl_write(ssl, (const unsigned char *)question, strlen(question)) < 0) {
        return result;
    }
    do {
        result = mbedtls_ssl_read(ssl, answer, sizeof answer);
    } while (result == MBEDTLS_ERR_SSL_WANT_READ);
    if (result > 0) {
        printf("%s: %.*s\n", mbedtls_ssl_get_ciphersuite(ssl), result, answer);
        fflush(stdout);
    }
    return mbedtls_ssl_close_notify(ssl);
}

int main(int count, char **arguments) {
    const char *key = "sixteen letters!", *identity = "lamp-8";
    int suites[2] = {0, 0};
    mbedtls_net_context net;
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config config;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context drbg;
    mbedtls_timing_delay_context timer;

    if (count != 3) {
        return 2;
    }
    suites[0] = (int)strtol(arguments[2], NULL, 16);
    mbedtls_net_init(&net);
    mbedtls_ssl_init(&ssl);
    mbedtls_ssl_config_init(&config);
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&drbg);
    mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy, NULL, 0);
    mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_DATAGRAM,
                                MBEDTLS_SSL_PRESET_DEFAULT);
    mbedtls_ssl_conf_min_version(&config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_0);
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &drbg);
    mbedtls_ssl_conf_ciphersuites(&config, suites);
    mbedtls_ssl_conf_psk(&config, (const unsigned char *)key, strlen(key), (const unsigned char *)identity,
                         strlen(identity));
    if (mbedtls_net_connect(&net, "127.0.0.1", arguments[1], MBEDTLS_NET_PROTO_UDP) != 0 ||
        mbedtls_ssl_setup(&ssl, &config) != 0) {
        return 2;
    }
    mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, mbedtls_net_recv_timeout);
    mbedtls_ssl_set_timer_cb(&ssl, &timer, mbedtls_timing_set_delay, mbedtls_timing_get_delay);
    return talk(&ssl) == 0 ? 0 : 1;
}
