# The second stage of the project's Dockerfile around a binary that was compiled on this machine.
ARG BASE
FROM ${BASE}
USER 10001:10001
COPY majordomo /usr/local/bin/majordomo
STOPSIGNAL SIGTERM
ENTRYPOINT ["majordomo"]
CMD ["--help"]
