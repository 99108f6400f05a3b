package io.github.actclip.samples.service;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

/** Whoever asks the service on that port of this machine. */
record Client(int port) {

  private static final HttpClient HTTP = HttpClient.newHttpClient();

  URI address(String path) {
    return URI.create("http://localhost:" + port + path);
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(address(path)).timeout(Duration.ofSeconds(60));
  }

  HttpResponse<String> get(String path) throws Exception {
    return HTTP.send(request(path).build(), BodyHandlers.ofString());
  }

  HttpResponse<String> post(String path, String type, byte[] body) throws Exception {
    return send("POST", path, type, body);
  }

  /** With that method, and no type where it is empty. */
  HttpResponse<String> send(String method, String path, String type, byte[] body) throws Exception {
    HttpRequest.Builder request = request(path).method(method, BodyPublishers.ofByteArray(body));
    if (!type.isEmpty()) {
      request.header("Content-Type", type);
    }
    return HTTP.send(request.build(), BodyHandlers.ofString());
  }

  /** Without a length. */
  HttpResponse<String> postInChunks(String path, String type, byte[] body) throws Exception {
    HttpRequest.BodyPublisher chunks =
        BodyPublishers.fromPublisher(BodyPublishers.ofByteArray(body));
    return HTTP.send(
        request(path).header("Content-Type", type).POST(chunks).build(), BodyHandlers.ofString());
  }
}
