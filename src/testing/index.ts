/**
 * Test kits for adapters of your own: every sentence of the contracts of `Storage` and `Transport`,
 * as a test of its own. They run under any test runner, and need nothing but its function to
 * declare a test.
 *
 * @example
 * ```ts
 * import test from 'node:test'
 * import { memory } from 'hotspare/storage/memory'
 * import { storageKit, transportKit } from 'hotspare/testing'
 * import { memoryNetwork } from 'hotspare/transport/memory'
 *
 * // Your own storage in the place of memory().
 * storageKit({
 *   name: 'mine',
 *   create: async () => ({ storage: memory(), cleanup: async () => {} }),
 *   test: (title, run) => void test(title, run),
 * })
 *
 * // Two transports of yours that reach each other; `a` listens, `b` dials.
 * transportKit({
 *   name: 'mine',
 *   create: async () => {
 *     const network = memoryNetwork()
 *     return { a: network.transport('a:1'), b: network.transport('b:1'), cleanup: async () => {} }
 *   },
 *   test: (title, run) => void test(title, run),
 * })
 * ```
 *
 * @packageDocumentation
 */

export type { StorageKitSubject } from './storage-kit/harness.js'
export { type StorageKitOptions, storageKit } from './storage-kit.js'
export { type KitPair, type TransportKitOptions, transportKit } from './transport-kit.js'
