/**
 * The conformance kit for storage adapters: every sentence of the contract, as a test of its own.
 */

import { documentTests } from './storage-kit/documents.js'
import { type KitTest, runWith, type StorageKitSubject } from './storage-kit/harness.js'
import { lifecycleTests } from './storage-kit/lifecycle.js'
import { logTests } from './storage-kit/logs.js'
import { objectTests } from './storage-kit/objects.js'
import { treeTests } from './storage-kit/tree.js'
import { treeLinkTests } from './storage-kit/tree-links.js'
import { treeMoveTests } from './storage-kit/tree-moves.js'
import { treeReadTests } from './storage-kit/tree-reads.js'

/** What {@link storageKit} needs. */
export interface StorageKitOptions {
  /** The name of the storage, with which the titles begin. */
  readonly name: string
  /** Makes the storage for one test. */
  create(): Promise<StorageKitSubject>
  /** The runner's own function to declare a test. */
  readonly test: (name: string, run: () => Promise<void>) => void
}

/**
 * Declares the tests of the storage contract with any test runner.
 *
 * @example
 * ```ts
 * import test from 'node:test'
 * import { memory } from 'hotspare/storage/memory'
 * import { storageKit } from 'hotspare/testing'
 *
 * storageKit({
 *   name: 'memory',
 *   create: async () => ({ storage: memory(), cleanup: async () => {} }),
 *   test: (name, run) => void test(name, run),
 * })
 * ```
 */
export function storageKit(options: StorageKitOptions): void {
  const groups: readonly (readonly KitTest[])[] = [
    lifecycleTests,
    documentTests,
    logTests,
    objectTests,
    treeTests,
    treeLinkTests,
    treeMoveTests,
    treeReadTests,
  ]
  for (const test of groups.flat()) {
    options.test(`${options.name}: ${test.title}`, () => runWith(options.create, test.run))
  }
}
