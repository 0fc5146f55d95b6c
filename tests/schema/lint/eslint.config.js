// graphql-eslint's recommended rules for schemas, over schema/schema.graphql; `make schema-lint` runs them.
import graphql from "@graphql-eslint/eslint-plugin";

// What has no `id: UUID!`, and why: nobody can ask for one of these again, so a cache must not keep it apart from
// the object that it was read with.
const WITHOUT_ID = {
  suffixes: ["Page", "Connection", "Edge", "Payload", "Result"],
  types: [
    // parts of an answer's frame
    "PageInfo",
    "Problem",
    "FieldError",
    // one for the whole company
    "Settings",
    // known by their month, day or name, which is their key
    "CalendarDay",
    "ClosedMonth",
    "PermissionInfo",
    "Grant",
    "SyncCount",
    // figures of a report, which another question counts otherwise
    "CapacityLine",
    "FreeMonth",
    "FreePerson",
    "PlanningRow",
    "ProjectMonth",
    "UtilisationGroup",
    "UtilisationMonth",
    // an event: news of objects that have ids
    "PlanningChange",
  ],
};

export default [
  {
    files: ["**/*.graphql"],
    plugins: { "@graphql-eslint": graphql },
    languageOptions: {
      parser: graphql.parser,
      parserOptions: { graphQLConfig: { schema: "schema/schema.graphql" } },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      ...graphql.configs["flat/schema-recommended"].rules,
      "@graphql-eslint/strict-id-in-types": [
        "error",
        { acceptedIdNames: ["id"], acceptedIdTypes: ["UUID"], exceptions: WITHOUT_ID },
      ],
    },
  },
];
