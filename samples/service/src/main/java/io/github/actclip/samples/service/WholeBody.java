package io.github.actclip.samples.service;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.eclipse.jetty.http.HttpException;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.io.content.ByteBufferContentSource;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/**
 * Hands a request on when all of its body is there: until then it holds no thread, however slowly
 * it comes.
 */
final class WholeBody extends Handler.Wrapper {

  private final int mostBytes;
  private final Duration longest;
  private final BodyMemory memory;

  WholeBody(ServiceOptions options) {
    mostBytes = options.maxBodyBytes();
    longest = options.bodyTime();
    memory = new BodyMemory(options.maxHeldBytes());
  }

  @Override
  public boolean handle(Request request, Response response, Callback ending) throws Exception {
    if (request.getLength() == 0) {
      return super.handle(request, response, ending);
    }
    boolean asks = request.getHeaders().contains(HttpHeader.EXPECT);
    if (asks && request.getLength() > mostBytes) { // before it sends anything
      Response.writeError(request, response, ending, HttpStatus.PAYLOAD_TOO_LARGE_413);
      return true;
    }
    BodyReader reader = new BodyReader(request, mostBytes, memory);
    Callback callback = Callback.from(ending, reader::release);
    CompletableFuture<byte[]> whole = reader.read();
    if (whole.isDone() && !whole.isCompletedExceptionally()) { // as short ones mostly are at once
      return super.handle(new Read(request, whole.join()), response, callback);
    }
    whole
        .orTimeout(longest.toMillis(), TimeUnit.MILLISECONDS)
        .whenComplete(
            (body, failure) -> {
              if (failure == null) {
                request.getContext().execute(() -> handOn(request, body, response, callback));
              } else {
                request.fail(failure); // nobody reads what may still come
                Response.writeError(request, response, callback, status(failure));
              }
            });
    return true;
  }

  private static int status(Throwable failure) {
    if (failure instanceof HttpException known) {
      return known.getCode();
    }
    return failure instanceof TimeoutException
        ? HttpStatus.REQUEST_TIMEOUT_408
        : HttpStatus.BAD_REQUEST_400;
  }

  private void handOn(Request request, byte[] body, Response response, Callback callback) {
    try {
      if (!super.handle(new Read(request, body), response, callback)) {
        Response.writeError(request, response, callback, HttpStatus.NOT_FOUND_404);
      }
    } catch (Throwable e) { // Else nobody would ever answer.
      Response.writeError(request, response, callback, e);
    }
  }

  /** A request whose body was read. */
  private static final class Read extends Request.Wrapper {

    private final Content.Source body;

    Read(Request request, byte[] body) {
      super(request);
      this.body = new ByteBufferContentSource(ByteBuffer.wrap(body));
    }

    @Override
    public Content.Chunk read() {
      return body.read();
    }

    @Override
    public void demand(Runnable callback) {
      body.demand(callback);
    }

    @Override
    public void fail(Throwable failure) {
      body.fail(failure);
    }
  }
}
