// The part of our own schema that the operations ask for: the documents are the same as ours.

export const typeDefs = /* GraphQL */ `
  scalar UUID
  scalar Date
  scalar Month
  scalar Decimal

  type Query {
    me: User!
    projects(page: Int! = 1, size: Int! = 50): ProjectPage!
    planning(from: Month!, to: Month!, page: Int! = 1, size: Int! = 50): PlanningPage!
  }
  type Mutation {
    forecastsWrite(input: ForecastsWriteInput!): ForecastsWritePayload!
  }
  type User {
    id: UUID!
    email: String
    firstName: String!
    lastName: String!
  }
  type ProjectPage {
    items: [Project!]!
  }
  type Project {
    id: UUID!
    code: String!
    name: String!
    status: String!
    startDate: Date
    endDate: Date
    assignments: [Assignment!]!
  }
  type Assignment {
    id: UUID!
    rate: Decimal!
    startDate: Date!
    endDate: Date!
    user: User!
  }
  type PlanningPage {
    items: [PlanningRow!]!
  }
  type PlanningRow {
    user: User!
    months: [PlanningMonth!]!
  }
  type PlanningMonth {
    month: Month!
    capacity: Decimal!
    load: Decimal!
    cells: [Cell!]!
  }
  type Cell {
    id: UUID!
    days: Decimal!
    version: Int!
    project: Project!
  }
  input ForecastsWriteInput {
    cells: [CellInput!]!
  }
  input CellInput {
    userId: UUID!
    projectId: UUID!
    month: Month!
    days: Decimal
  }
  type ForecastsWritePayload {
    results: [CellResult!]!
    months: [PlanningMonth!]!
    problems: [Problem!]!
  }
  type CellResult {
    index: Int!
    outcome: String!
    cell: Cell
  }
  type Problem {
    code: String!
  }
`;
