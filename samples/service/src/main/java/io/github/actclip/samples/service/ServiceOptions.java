package io.github.actclip.samples.service;

import java.time.Duration;

/**
 * What a service takes.
 *
 * @param host the name or address that it listens at: "localhost" for this machine alone, "0.0.0.0"
 *     for all
 * @param port 0 for any that is free
 * @param maxBodyBytes the longest body of a request
 * @param maxHeldBytes of the bodies of all requests together; one that finds no room is refused
 * @param concurrency requests for predictions that are worked on at a time; one more is refused
 * @param idle how long a connection may be silent, also within a request
 * @param bodyTime how long the body of a request may take to come
 * @param drain how long an end waits for requests that were begun
 */
public record ServiceOptions(
    String host,
    int port,
    int maxBodyBytes,
    long maxHeldBytes,
    int concurrency,
    Duration idle,
    Duration bodyTime,
    Duration drain) {

  /**
   * 8 MiB, a quarter of the heap for all bodies, 128 requests at a time, 10 s of silence, 30 s for
   * a body, 20 s to drain.
   */
  public static ServiceOptions at(String host, int port) {
    return new ServiceOptions(
        host,
        port,
        8 << 20,
        Runtime.getRuntime().maxMemory() / 4,
        128,
        Duration.ofSeconds(10),
        Duration.ofSeconds(30),
        Duration.ofSeconds(20));
  }
}
