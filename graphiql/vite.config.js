// Builds the page once into dist/; scripts/build_graphiql.py carries it to server/graphiql/.
import { defineConfig } from 'vite'

export default defineConfig({
  base: '/graphiql-assets/',
  // The server puts a fresh nonce in this place at every request.
  html: { cspNonce: '__CSP_NONCE__' },
  resolve: {
    // One file under two names, which would be bundled twice.
    alias: { 'prettier/parser-graphql': 'prettier/plugins/graphql' },
  },
  worker: { format: 'es' },
  build: {
    outDir: 'dist',
    assetsDir: '',
    // A data: address would need a wider policy (font-src, worker-src), so every asset is a file.
    assetsInlineLimit: 0,
    target: 'es2022',
    chunkSizeWarningLimit: 4000,
    rolldownOptions: {
      // Libraries mark their files "use client" for server rendering, of which there is none here.
      checks: { moduleLevelDirective: false },
    },
  },
})
