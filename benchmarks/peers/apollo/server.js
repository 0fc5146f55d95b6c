// Apollo Server 5 as its documentation starts it, in production mode, with DataLoader.

import { ApolloServer } from "@apollo/server";
import { startStandaloneServer } from "@apollo/server/standalone";
import DataLoader from "dataloader";
import { createVerifier } from "fast-jwt";
import pg from "pg";

import { configure, makeData } from "../shared/data.js";
import { typeDefs } from "../shared/schema.js";
import { makeVerify } from "../shared/token.js";

const verify = makeVerify(createVerifier);
const data = makeData(configure(pg));

const server = new ApolloServer({
  typeDefs,
  introspection: false,
  resolvers: {
    Query: {
      me: (_, __, { userId, users }) => users.load(userId),
      projects: async (_, { page, size }) => ({ items: await data.projectPage(page, size) }),
      planning: async (_, { from, to, page, size }) => ({ items: await data.planning(from, to, page, size) }),
    },
    Mutation: {
      forecastsWrite: (_, { input }, { userId }) => data.write(input.cells, userId),
    },
    Project: { assignments: (project, _, { assignments }) => assignments.load(project.id) },
    Assignment: { user: (assignment, _, { users }) => users.load(assignment.userId) },
    Cell: { project: (cell, _, { projects }) => projects.load(cell.projectId) },
  },
});
await startStandaloneServer(server, {
  listen: { port: Number(process.env.PORT), host: "127.0.0.1" },
  context: async ({ req }) => ({
    userId: await verify(req.headers.authorization),
    users: new DataLoader(data.usersByIds),
    projects: new DataLoader(data.projectsByIds),
    assignments: new DataLoader(data.assignmentsOf),
  }),
});
