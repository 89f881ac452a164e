/* The smallest MDP 0.1 broker on libzmq, for testing our generator against somebody else's ZMTP: one ROUTER, one
 * service, the least recently used worker first. No expiry, no heartbeats of its own, no MMI; never a peer in a
 * comparison. Exits with 2 at any message that it does not understand, so that a wrong byte of ours is seen.
 *
 * Prints "ready ENDPOINT". With an argument it misbehaves: "swallow" loses every 100th reply, "repeat" sends every
 * 100th twice, "cut" sends every 100th one byte short.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define PARTS_MAX 8
#define RING 65536

struct message {
    zmq_msg_t parts[PARTS_MAX];
    int count;
};
struct ring {
    struct message *places;
    size_t first, count;
};

static void *router;
static struct ring requests, workers;
static const char *misbehaviour = "";
static unsigned long replies;

static void refuse(const char *what)
{
    fprintf(stderr, "mdp_lru: %s\n", what);
    exit(2);
}

static struct message *push(struct ring *ring)
{
    if (ring->count == RING)
        refuse("too many are waiting");
    return &ring->places[(ring->first + ring->count++) % RING];
}

static struct message *pop(struct ring *ring)
{
    struct message *message = &ring->places[ring->first];
    ring->first = (ring->first + 1) % RING;
    ring->count--;
    return message;
}

static int is(zmq_msg_t *part, const char *bytes, size_t size)
{
    return zmq_msg_size(part) == size && memcmp(zmq_msg_data(part), bytes, size) == 0;
}

static void send_bytes(const char *bytes, size_t size)
{
    zmq_send(router, bytes, size, ZMQ_SNDMORE);
}

static void receive(struct message *message)
{
    int more = 1;
    for (message->count = 0; more; message->count++) {
        if (message->count == PARTS_MAX)
            refuse("a message of too many frames");
        zmq_msg_init(&message->parts[message->count]);
        zmq_msg_recv(&message->parts[message->count], router, 0);
        more = zmq_msg_more(&message->parts[message->count]);
    }
}

static void answer(zmq_msg_t *client, const void *body, size_t size)
{
    send_bytes(zmq_msg_data(client), zmq_msg_size(client));
    send_bytes("", 0);
    send_bytes("MDPC01", 6);
    send_bytes("echo", 4);
    zmq_send(router, body, size, 0);
}

/* [worker] "" MDPW01 03 client "" body */
static void on_reply(struct message *reply)
{
    if (reply->count != 7 || !is(&reply->parts[5], "", 0))
        refuse("not a REPLY");
    const void *body = zmq_msg_data(&reply->parts[6]);
    size_t size = zmq_msg_size(&reply->parts[6]);
    int misbehave = ++replies % 100 == 0;
    if (!(misbehave && strcmp(misbehaviour, "swallow") == 0))
        answer(&reply->parts[4], body, size - (misbehave && strcmp(misbehaviour, "cut") == 0));
    if (misbehave && strcmp(misbehaviour, "repeat") == 0)
        answer(&reply->parts[4], body, size);
    *push(&workers) = *reply;
}

static void dispatch(void)
{
    while (requests.count > 0 && workers.count > 0) {
        struct message *request = pop(&requests), *worker = pop(&workers);
        send_bytes(zmq_msg_data(&worker->parts[0]), zmq_msg_size(&worker->parts[0]));
        send_bytes("", 0);
        send_bytes("MDPW01", 6);
        send_bytes("\2", 1);
        send_bytes(zmq_msg_data(&request->parts[0]), zmq_msg_size(&request->parts[0]));
        send_bytes("", 0);
        zmq_send(router, zmq_msg_data(&request->parts[4]), zmq_msg_size(&request->parts[4]), 0);
        for (int part = 0; part < request->count; part++)
            zmq_msg_close(&request->parts[part]);
        for (int part = 0; part < worker->count; part++)
            zmq_msg_close(&worker->parts[part]);
    }
}

static void on_message(struct message *message)
{
    if (message->count < 4 || !is(&message->parts[1], "", 0))
        refuse("no empty frame in front");
    if (is(&message->parts[2], "MDPC01", 6)) {
        if (message->count != 5 || !is(&message->parts[3], "echo", 4))
            refuse("not a request for echo");
        *push(&requests) = *message;
    } else if (!is(&message->parts[2], "MDPW01", 6)) {
        refuse("neither MDPC01 nor MDPW01");
    } else if (is(&message->parts[3], "\3", 1)) {
        on_reply(message);
    } else if (is(&message->parts[3], "\1", 1)) {
        if (message->count != 5 || !is(&message->parts[4], "echo", 4))
            refuse("not a READY for echo");
        *push(&workers) = *message;
    } else if (!(is(&message->parts[3], "\4", 1) && message->count == 4)) {
        refuse("not a worker's command");
    }
    dispatch();
}

int main(int count, char **arguments)
{
    if (count > 1)
        misbehaviour = arguments[1];
    requests.places = calloc(RING, sizeof(struct message));
    workers.places = calloc(RING, sizeof(struct message));
    char endpoint[256];
    size_t endpoint_size = sizeof endpoint;
    int unlimited = 0;
    router = zmq_socket(zmq_ctx_new(), ZMQ_ROUTER);
    zmq_setsockopt(router, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    zmq_setsockopt(router, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
    if (zmq_bind(router, "tcp://127.0.0.1:*") != 0)
        refuse("cannot bind");
    zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &endpoint_size);
    printf("ready %s\n", endpoint);
    fflush(stdout);
    for (;;) {
        struct message message;
        receive(&message);
        on_message(&message);
    }
}
