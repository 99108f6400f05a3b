package io.github.actclip.samples.service;

import io.github.actclip.runtime.ActclipException;
import io.javalin.config.JavalinConfig;
import io.javalin.http.Context;
import io.javalin.http.Header;
import io.javalin.http.HttpResponseException;
import io.javalin.http.HttpStatus;
import java.util.Map;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * What a request gets that is not answered: a status and, as JSON, one sentence. What went wrong
 * inside is for the log alone.
 */
final class Refusals {

  private static final Logger LOG = LogManager.getLogger(Refusals.class);

  private static final String ALLOWED = "availableMethods";
  private static final String RETRY_AFTER_SECONDS = "1";

  private Refusals() {}

  /** A refusal, to be thrown. */
  static HttpResponseException of(HttpStatus status, String sentence) {
    return new HttpResponseException(status.getCode(), sentence, Map.of());
  }

  static void register(JavalinConfig config) {
    config.http.prefer405over404 = true;
    config.routes.exception(HttpResponseException.class, (e, ctx) -> answer(ctx, e));
    config.routes.exception(ActclipException.class, (e, ctx) -> answer(ctx, e));
    config.routes.exception(Exception.class, (e, ctx) -> fail(ctx, e));
    config.router.javaLangErrorHandler(
        (response, e) -> {
          LOG.error("A request has failed", e);
          response.setStatus(HttpStatus.INTERNAL_SERVER_ERROR.getCode());
        });
  }

  private static void answer(Context ctx, HttpResponseException e) {
    HttpStatus status = HttpStatus.forStatus(e.getStatus());
    switch (status) {
      case NOT_FOUND ->
          answer(ctx, status, "There is nothing at this path: see / for a page, and /predict.");
      case METHOD_NOT_ALLOWED -> {
        String allowed = e.getDetails().values().stream().findFirst().orElse("");
        ctx.header(Header.ALLOW, allowed);
        answer(ctx, status, "This path takes " + allowed + " and no " + ctx.method() + ".");
      }
      default -> answer(ctx, status, e.getMessage());
    }
  }

  private static void answer(Context ctx, ActclipException e) {
    switch (e.kind()) {
      case BAD_INPUT -> answer(ctx, HttpStatus.BAD_REQUEST, e.getMessage());
      case FULL, CLOSED -> answer(ctx, HttpStatus.SERVICE_UNAVAILABLE, e.getMessage());
      case TOO_LATE -> answer(ctx, HttpStatus.GATEWAY_TIMEOUT, e.getMessage());
      case FAILURE -> fail(ctx, e);
    }
  }

  private static void fail(Context ctx, Exception e) {
    LOG.error("A request has failed", e);
    answer(ctx, HttpStatus.INTERNAL_SERVER_ERROR, "The service has failed; its log says more.");
  }

  private static void answer(Context ctx, HttpStatus status, String sentence) {
    if (status == HttpStatus.SERVICE_UNAVAILABLE) {
      ctx.header(Header.RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    ctx.status(status).json(Map.of("error", sentence));
  }
}
