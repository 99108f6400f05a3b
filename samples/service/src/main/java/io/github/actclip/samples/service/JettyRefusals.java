package io.github.actclip.samples.service;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/** What gets no further than to Jetty, such as a head that is too long, is refused as all else. */
final class JettyRefusals implements Request.Handler {

  @Override
  public boolean handle(Request request, Response response, Callback callback) {
    int status = response.getStatus();
    String sentence =
        switch (status) {
          case HttpStatus.PAYLOAD_TOO_LARGE_413 -> "The body is longer than this service takes.";
          case HttpStatus.REQUEST_TIMEOUT_408 -> "The body came too slowly.";
          case HttpStatus.SERVICE_UNAVAILABLE_503 ->
              "The service has all it can do, or is ending: try again.";
          default -> "The request cannot be served: " + HttpStatus.getMessage(status) + ".";
        };
    if (status == HttpStatus.SERVICE_UNAVAILABLE_503) {
      response.getHeaders().put(HttpHeader.RETRY_AFTER, "1");
    }
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, "application/json");
    String json = "{\"error\":\"" + sentence + "\"}"; // has nothing that JSON escapes
    response.write(true, ByteBuffer.wrap(json.getBytes(StandardCharsets.UTF_8)), callback);
    return true;
  }
}
