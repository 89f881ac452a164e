/* A ROUTER-ROUTER proxy on libzmq: what the library does when it is asked for little.
 *
 *   client -> [client] "" body                     reply   <- [client] "" body
 *   worker -> [worker] "" "READY"                  request -> [worker] "" client "" body
 *   worker -> [worker] "" client "" body
 *
 * The least recently used worker gets the next request, one at a time. Clients are read only while a worker waits, so
 * that requests queue in libzmq and not here. Bodies are moved, never copied. A message of another shape is dropped.
 *
 * With --curve SECRETKEY (Z85) both sockets are CURVE servers that let everybody in.
 *
 * Prints "libzmq VERSION" with --version, else "ready CLIENTS WORKERS" with the two endpoints, then serves until it is
 * ended. Built and run as a process of its own by the benchmark; nothing of ours links libzmq.
 */
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#define PARTS_MAX 8
#define WORKERS_MAX 4096
#define ROUND_MAX 1000

struct message {
    zmq_msg_t parts[PARTS_MAX];
    int count;
};

/* The workers that wait, longest first: a ring. */
struct identity {
    unsigned char bytes[255];
    size_t size;
};
static struct identity waiting[WORKERS_MAX];
static size_t waiting_first, waiting_count;

static void drop(struct message *message)
{
    for (int part = 0; part < message->count; part++)
        zmq_msg_close(&message->parts[part]);
    message->count = 0;
}

/* Receives all parts, of which those beyond PARTS_MAX are dropped; 0 when nothing is there. */
static int receive(void *socket, struct message *message)
{
    message->count = 0;
    for (;;) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&part);
            return 0;
        }
        int more = zmq_msg_more(&part);
        if (message->count < PARTS_MAX)
            message->parts[message->count++] = part;
        else
            zmq_msg_close(&part);
        if (!more)
            return 1;
    }
}

static void send_bytes(void *socket, const void *bytes, size_t size, int flags)
{
    zmq_send(socket, bytes, size, flags);
}

/* Moves a part out; what the socket does not take (its peer is gone) is dropped. */
static void send_part(void *socket, zmq_msg_t *part, int flags)
{
    if (zmq_msg_send(part, socket, flags) < 0)
        zmq_msg_close(part);
}

static void wait_again(zmq_msg_t *worker)
{
    if (waiting_count == WORKERS_MAX || zmq_msg_size(worker) > sizeof waiting[0].bytes)
        return;
    struct identity *place = &waiting[(waiting_first + waiting_count++) % WORKERS_MAX];
    place->size = zmq_msg_size(worker);
    memcpy(place->bytes, zmq_msg_data(worker), place->size);
}

/* [client] "" body */
static void on_request(void *workers, struct message *request)
{
    if (request->count != 3) {
        drop(request);
        return;
    }
    struct identity *worker = &waiting[waiting_first];
    waiting_first = (waiting_first + 1) % WORKERS_MAX;
    waiting_count--;
    send_bytes(workers, worker->bytes, worker->size, ZMQ_SNDMORE);
    send_bytes(workers, "", 0, ZMQ_SNDMORE);
    send_part(workers, &request->parts[0], ZMQ_SNDMORE);
    send_part(workers, &request->parts[1], ZMQ_SNDMORE);
    send_part(workers, &request->parts[2], 0);
}

/* [worker] "" "READY", or [worker] "" client "" body */
static void on_worker(void *clients, struct message *reply)
{
    if (reply->count == 3)
        wait_again(&reply->parts[0]);
    if (reply->count != 5) {
        drop(reply);
        return;
    }
    wait_again(&reply->parts[0]);
    zmq_msg_close(&reply->parts[0]);
    zmq_msg_close(&reply->parts[1]);
    send_part(clients, &reply->parts[2], ZMQ_SNDMORE);
    send_part(clients, &reply->parts[3], ZMQ_SNDMORE);
    send_part(clients, &reply->parts[4], 0);
}

static void *router(void *context, const char *curve_secret, char *endpoint, size_t endpoint_size)
{
    void *socket = zmq_socket(context, ZMQ_ROUTER);
    int unlimited = 0, backlog = 1024, yes = 1;
    if (curve_secret) {
        zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &yes, sizeof yes);
        if (zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, curve_secret, strlen(curve_secret) + 1) != 0)
            return NULL;
    }
    zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
    zmq_setsockopt(socket, ZMQ_BACKLOG, &backlog, sizeof backlog);
    if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0)
        return NULL;
    zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &endpoint_size);
    return socket;
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "--version") == 0) {
        int major, minor, patch;
        zmq_version(&major, &minor, &patch);
        printf("libzmq %d.%d.%d\n", major, minor, patch);
        return 0;
    }
    char client_endpoint[256], worker_endpoint[256];
    void *context = zmq_ctx_new();
    const char *curve_secret = count > 2 && strcmp(arguments[1], "--curve") == 0 ? arguments[2] : NULL;
    void *clients = router(context, curve_secret, client_endpoint, sizeof client_endpoint);
    void *workers = router(context, curve_secret, worker_endpoint, sizeof worker_endpoint);
    if (!clients || !workers) {
        fprintf(stderr, "lru_proxy: %s\n", zmq_strerror(zmq_errno()));
        return 1;
    }
    printf("ready %s %s\n", client_endpoint, worker_endpoint);
    fflush(stdout);

    zmq_pollitem_t items[] = {{workers, 0, ZMQ_POLLIN, 0}, {clients, 0, ZMQ_POLLIN, 0}};
    struct message message;
    for (;;) {
        if (zmq_poll(items, waiting_count > 0 ? 2 : 1, -1) < 0)
            return 1;
        for (int round = 0; round < ROUND_MAX && receive(workers, &message); round++)
            on_worker(clients, &message);
        for (int round = 0; round < ROUND_MAX && waiting_count > 0 && receive(clients, &message); round++)
            on_request(workers, &message);
    }
}
