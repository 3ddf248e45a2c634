/**
 * Active-standby replication for Node servers: one node of a small cluster is active, each other
 * node keeps a current copy and can take over.
 *
 * @example
 * ```ts
 * import { ClusterNode, SyncPolicy, appState, neverSynced, synced } from 'hotspare'
 * import { directory } from 'hotspare/storage/directory'
 * import { tcp } from 'hotspare/transport/tcp'
 *
 * const greetings = new Map<string, string>()
 * const node = new ClusterNode({
 *   cluster: 'voice',
 *   id: 'alpha',
 *   members: [
 *     { id: 'alpha', address: '10.0.0.1:7400' },
 *     { id: 'beta', address: '10.0.0.2:7400' },
 *   ],
 *   transport: tcp({ listen: '0.0.0.0:7400' }),
 *   storage: directory('./data'),
 *   secret: 'at least sixteen bytes of secret',
 *   policy: new SyncPolicy({
 *     messages: synced('messages/**'),
 *     greetings: appState({
 *       snapshot: () => [...greetings],
 *       restore: (snapshot) => {
 *         greetings.clear()
 *         for (const [name, text] of snapshot as [string, string][]) greetings.set(name, text)
 *       },
 *       apply: ({ name, text }: { name: string; text: string }) => void greetings.set(name, text),
 *     }),
 *     local: neverSynced(['properties.txt', 'logs/**'], { reason: 'differs per machine' }),
 *   }),
 * })
 *
 * await node.start()
 * await node.whileActive(async (tenure) => {
 *   await node.files.write('messages/42.txt', 'hello', { signal: tenure.signal })
 *   await node.update('greetings', { name: 'ann', text: 'hi' })
 * })
 * ```
 *
 * @packageDocumentation
 */
export type { ChangeOf, StateNames, VaultApi } from './cluster-node.js'
export { ClusterNode } from './cluster-node.js'
export type {
  GoneFile,
  LostChange,
  VaultedFile,
  VaultedState,
  VaultIncident,
  VaultReason,
} from './copy/vault/incident.js'
export type { Role } from './core/state/facts.js'
export type { Decision } from './core/state/types.js'
export type { ErrorCode, ErrorInfo } from './error-codes.js'
export { errorCodes } from './error-codes.js'
export type { ErrorDetail, ErrorDetails, HotspareErrorOptions } from './errors.js'
export { HotspareError } from './errors.js'
export type { Extent, History, HistoryTerm, Position, Term } from './history/position.js'
export type { Clock, TimerHandle } from './interfaces/clock.js'
export type * from './interfaces/object-store.js'
export type { Random } from './interfaces/random.js'
export type * from './interfaces/storage.js'
export type * from './interfaces/transport.js'
export type * from './interfaces/tree-store.js'
export type { PromotionGate } from './interfaces/witness.js'
export type {
  PeerEvent,
  PeerLag,
  RestoredEvent,
  RestoreEvent,
  RoleEvent,
} from './node/contract/event-parts.js'
export type { NodeEvents, NodeLogEvent } from './node/contract/events.js'
export { membersMax, secretBytesMin } from './node/contract/option-checks.js'
export type {
  Classes,
  ClusterNodeOptions,
  MemberOptions,
  NodeDefaults,
} from './node/contract/options.js'
export { nodeDefaults } from './node/contract/options.js'
export type { StartOptions } from './node/contract/start-options.js'
export type { Tried } from './node/contract/tried.js'
export type { NodeStatus, OperatorState, PeerStatus } from './node/report/status.js'
export type { CauseStatus } from './node/roles/causes.js'
export type { Tenure } from './node/roles/tenure.js'
export type { FileInfo } from './node/writes/file-checks.js'
export type {
  FileContent,
  FileReadOptions,
  FilesApi,
  FileWriteOptions,
} from './node/writes/files.js'
export type {
  Transaction,
  TransactionFiles,
  TransactionOptions,
  TransactionResult,
} from './node/writes/transaction.js'
export type { AckLevel, ClassOptions, Durability } from './policy/class-options.js'
export type {
  AnyAppStateClass,
  AppStateClass,
  AppStateHooks,
  StatePosition,
} from './policy/kinds/app-state.js'
export { appState } from './policy/kinds/app-state.js'
export type { NeverSyncedClass } from './policy/kinds/never-synced.js'
export { neverSynced } from './policy/kinds/never-synced.js'
export type { SyncedClass } from './policy/kinds/synced.js'
export { synced } from './policy/kinds/synced.js'
export type { ClassDeclaration, FileClass } from './policy/kinds/table.js'
export type { NamedFileClass, NamedStateClass } from './policy/sync-policy.js'
export { classesMax, SyncPolicy, type SyncPolicyOptions } from './policy/sync-policy.js'
export type { ContentSource } from './replication/content/types.js'
export type { RestoreMethod, RestoreProgress } from './replication/restore/plan.js'
export type { Receipt, WriteOptions } from './replication/write/types.js'
