// Mercurius with graphql-jit: its own loaders against N+1, its parse and validation cache (on by default).

import { createVerifier } from "fast-jwt";
import Fastify from "fastify";
import mercurius from "mercurius";
import pg from "pg";

import { configure, makeData } from "../shared/data.js";
import { typeDefs } from "../shared/schema.js";
import { makeVerify } from "../shared/token.js";

const verify = makeVerify(createVerifier);
const data = makeData(configure(pg));


const app = Fastify({ logger: false, bodyLimit: 2_000_000 });
app.register(mercurius, {
  schema: typeDefs,
  jit: 1,
  context: async (request) => ({ userId: await verify(request.headers.authorization) }),
  resolvers: {
    Query: {
      me: async (_, __, { userId }) => (await data.usersByIds([userId]))[0],
      projects: async (_, { page, size }) => ({ items: await data.projectPage(page, size) }),
      planning: async (_, { from, to, page, size }) => ({ items: await data.planning(from, to, page, size) }),
    },
    Mutation: {
      forecastsWrite: (_, { input }, { userId }) => data.write(input.cells, userId),
    },
  },
  loaders: {
    Project: {
      assignments: { loader: (queries) => data.assignmentsOf(queries.map(({ obj }) => obj.id)), opts: { cache: false } },
    },
    Assignment: {
      user: { loader: (queries) => data.usersByIds(queries.map(({ obj }) => obj.userId)), opts: { cache: false } },
    },
    Cell: {
      project: { loader: (queries) => data.projectsByIds(queries.map(({ obj }) => obj.projectId)), opts: { cache: false } },
    },
  },
});
await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
