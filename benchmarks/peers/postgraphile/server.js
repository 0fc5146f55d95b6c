// PostGraphile 5, in production mode, lists instead of connections (no cursors to make), its own prepared statements.

import { createServer } from "node:http";

import { createVerifier } from "fast-jwt";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { context } from "postgraphile/grafast";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { extendSchema } from "postgraphile/utils";

import { makeVerify } from "../shared/token.js";

const verify = makeVerify(createVerifier);

// `me` by a plan of its own: current_setting() would need a transaction around every request.
const Me = extendSchema((build) => {
  const { person } = build.pgResources;
  return {
    typeDefs: "extend type Query { me: Person }",
    objects: { Query: { plans: { me: () => person.get({ id: context().get("userId") }) } } },
  };
});

const instance = postgraphile({
  extends: [PostGraphileAmberPreset],
  plugins: [Me],
  pgServices: [makePgService({ connectionString: process.env.DATABASE_URL, schemas: ["bench"], poolConfig: { max: 20 } })],
  schema: { defaultBehavior: "-connection +list -resource:connection +resource:list" },
  gather: {},
  grafast: {
    explain: false,
    context: async (request) => ({ userId: await verify(request.http?.getHeader("authorization")) }),
  },
  grafserv: { graphiql: false, watch: false, maxRequestLength: 2_000_000 },
});
const serv = instance.createServ(grafserv);
const server = createServer();
await serv.addTo(server);
server.listen(Number(process.env.PORT), "127.0.0.1");
