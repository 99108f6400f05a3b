package io.github.actclip.samples.service;

import io.javalin.config.JettyConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.GracefulHandler;

/** What is asked of Jetty, which Javalin stands on. */
final class HttpServer {

  private static final int LONGEST_HEAD = 8 << 10;

  private HttpServer() {}

  static void configure(JettyConfig jetty, ServiceOptions options) {
    jetty.modifyHttpConfiguration(http -> http.setRequestHeaderSize(LONGEST_HEAD));
    jetty.addConnector((server, http) -> connector(server, http, options));
    jetty.modifyServer(
        server -> {
          server.insertHandler(new WholeBody(options));
          server.insertHandler(new GracefulHandler()); // an end waits for what was begun
          server.setStopTimeout(options.drain().toMillis());
          server.setErrorHandler(new JettyRefusals());
        });
  }

  /** Listens at once, so that what is wrong with the port is heard here. */
  private static Connector connector(
      Server server, HttpConfiguration http, ServiceOptions options) {
    ServerConnector connector = new ServerConnector(server, new HttpConnectionFactory(http));
    connector.setHost(options.host());
    connector.setPort(options.port());
    connector.setIdleTimeout(options.idle().toMillis());
    try {
      connector.open();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return connector;
  }
}
