// The page of the API: Swagger UI from its installed package, without the inline script that FastAPI writes.
SwaggerUIBundle({
  dom_id: "#reference",
  url: new URL("../api/v1/openapi.json", import.meta.url).href,
  docExpansion: "none",
  tagsSorter: "alpha",
  validatorUrl: null,
});
