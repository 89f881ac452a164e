# The majordomo command in a small image: compiled in the first stage, alone with the C library in the second.
#
#   docker build -t majordomo .
#   docker run --rm majordomo --help

FROM rust:1-bookworm AS builder
WORKDIR /src
COPY . .
# Debug sections are two thirds of the file; the symbols stay, so that a backtrace still names functions.
RUN cargo build --release --locked --package majordomo --features otel \
    && strip --strip-debug target/release/majordomo

FROM debian:bookworm-slim
# A volume that is mounted here begins with this owner: for keys, and for nothing else in the image.
RUN install -d -m 0700 -o 10001 -g 10001 /keys
# A number, so that an orchestrator can see that it isn't root.
USER 10001:10001
COPY --from=builder /src/target/release/majordomo /usr/local/bin/majordomo
# The stock signal of `docker stop` is the one on which every server here ends cleanly.
STOPSIGNAL SIGTERM
ENTRYPOINT ["majordomo"]
CMD ["--help"]
# No HEALTHCHECK here, because only a broker can say where to ask: docker-compose.yml shows one for each role.
