/**
 * Test kits for adapters of your own, which run under any test runner.
 *
 * @packageDocumentation
 */

export { type StorageKitOptions, type StorageKitSubject, storageKit } from './storage-kit.js'
export { type KitPair, type TransportKitOptions, transportKit } from './transport-kit.js'
