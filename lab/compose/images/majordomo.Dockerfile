# The second stage of the project's Dockerfile around a binary that was compiled on this machine.
ARG BASE
FROM ${BASE}
RUN install -d -m 0700 -o 10001 -g 10001 /keys
USER 10001:10001
COPY majordomo /usr/local/bin/majordomo
STOPSIGNAL SIGTERM
ENTRYPOINT ["majordomo"]
CMD ["--help"]
