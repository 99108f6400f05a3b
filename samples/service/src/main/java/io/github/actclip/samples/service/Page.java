package io.github.actclip.samples.service;

import io.github.actclip.runtime.Resources;
import io.javalin.config.RoutesConfig;
import io.javalin.http.Handler;

/** The page, which loads nothing from elsewhere. */
final class Page {

  private static final String POLICY =
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
          + " img-src 'self' blob: data:; base-uri 'none'; form-action 'none';"
          + " frame-ancestors 'none'";

  private Page() {}

  static void register(RoutesConfig routes) {
    routes.get("/", file("page.html", "text/html; charset=utf-8"));
    routes.get("/page.js", file("page.js", "text/javascript; charset=utf-8"));
    routes.get("/page.css", file("page.css", "text/css; charset=utf-8"));
  }

  private static Handler file(String name, String type) {
    byte[] content = Resources.read(Page.class.getResource(name));
    return ctx ->
        ctx.contentType(type)
            .header("Content-Security-Policy", POLICY)
            .header("X-Content-Type-Options", "nosniff")
            .header("Cache-Control", "no-cache")
            .result(content);
  }
}
