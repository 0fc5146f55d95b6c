// The same access token for every contender: HS256, our issuer and audience, verified anew for each request.

export function makeVerify(createVerifier) {
  const keys = new Map(process.env.JWT_KEYS.split(",").map((pair) => pair.split(/:(.*)/s).slice(0, 2)));
  const verify = createVerifier({
    key: async ({ header }) => keys.get(header.kid),
    algorithms: ["HS256"],
    allowedIss: "plancharge",
    allowedAud: "plancharge-api",
    requiredClaims: ["iss", "aud", "sub", "sid", "jti", "typ", "iat", "nbf", "exp"],
  });
  return async (authorization = "") => {
    const claims = await verify(authorization.replace(/^Bearer /i, ""));
    if (claims.typ !== "access") throw new Error("not an access token");
    return claims.sub;
  };
}
