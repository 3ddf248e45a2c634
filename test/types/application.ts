/**
 * What an application may write, and what the compiler refuses it. Nothing here runs: `npm run
 * types` compiles it, and a `@ts-expect-error` that is not needed any more is an error, too.
 */

import type { ErrorCode, NodeStatus, Role, VaultIncident } from 'hotspare'
import {
  appState,
  ClusterNode,
  type ClusterNodeOptions,
  HotspareError,
  type NodeEvents,
  neverSynced,
  type Receipt,
  type StateNames,
  SyncPolicy,
  synced,
} from 'hotspare'
import { directory } from 'hotspare/storage/directory'
import { tcp } from 'hotspare/transport/tcp'
import { equal, type Same } from './same.js'

const calls = appState<{ readonly call: string }, number>({
  snapshot: () => [],
  restore: () => undefined,
  apply: ({ call }, { seq }) => call.length + seq,
})

const policy = new SyncPolicy({
  messages: synced('messages/**'),
  records: synced(['records/**', '!records/tmp/**'], { ack: 'all', durability: 'disk' }),
  calls,
  local: neverSynced('logs/**', { reason: 'differs per machine' }),
})

const needed = {
  cluster: 'voice',
  id: 'alpha',
  members: [{ id: 'alpha', address: '10.0.0.1:7400' }],
  transport: tcp({ listen: '0.0.0.0:7400' }),
  storage: directory('./data'),
  policy,
}
const node = new ClusterNode(needed)

// Classes
synced('messages/**', { ack: 'standby' })
// @ts-expect-error there is no such level
synced('messages/**', { ack: 'some' })
// @ts-expect-error there is no such durability
synced('messages/**', { durability: 'tape' })
// @ts-expect-error a class is made by one of the three functions
new SyncPolicy({ messages: 'messages/**' })
// @ts-expect-error a class of state needs all three hooks
appState({ snapshot: () => [], apply: () => undefined })
// @ts-expect-error files that differ in case are refused or allowed
new SyncPolicy({ messages: synced('a/**') }, { namesDifferingByCase: 'ignore' })

// Options of a node
new ClusterNode({ ...needed, secret: 'at least sixteen bytes', onMissingPeer: 'hold' })
// @ts-expect-error there is no such answer to a missing member
new ClusterNode({ ...needed, onMissingPeer: 'wait' })
// @ts-expect-error an option that there is not
new ClusterNode({ ...needed, heartbeat: 100 })
const { storage: _storage, ...withoutStorage } = needed
// @ts-expect-error a node needs a storage
new ClusterNode(withoutStorage)
// @ts-expect-error a member has an address
new ClusterNode({ ...needed, members: [{ id: 'alpha' }] })
// @ts-expect-error a gate answers with a boolean
new ClusterNode({ ...needed, gate: { mayBecomeActive: async () => 'yes' } })
equal<Same<ClusterNodeOptions['order'], 'freshest' | 'list' | undefined>>()

// Updates: the name and the change belong together
type Policies = (typeof policy)['classes']
equal<Same<StateNames<Policies>, 'calls'>>()
const receipt: Promise<Receipt> = node.update('calls', { call: 'ann' })
void node.update('calls', { call: 'ann' }, { ack: 'all', signal: AbortSignal.timeout(100) })
// @ts-expect-error files are no state
void node.update('messages', { call: 'ann' })
// @ts-expect-error no class of this name
void node.update('callers', { call: 'ann' })
// @ts-expect-error not what this class applies
void node.update('calls', { caller: 'ann' })

// Files and transactions
void node.files.write('messages/1.txt', 'hello', { mode: 0o600 })
void node.files.write('messages/1.txt', new Uint8Array(3))
// @ts-expect-error an object is no content
void node.files.write('messages/1.txt', { text: 'hello' })
// @ts-expect-error mode is a number
void node.files.write('messages/1.txt', 'hello', { mode: '600' })
async function move(): Promise<number> {
  const { value, receipt: got } = await node.transaction(async (transaction) => {
    const bytes = await transaction.files.read('messages/1.txt')
    await transaction.files.write('records/1.txt', bytes)
    return bytes.length
  })
  equal<Same<typeof got, Receipt>>()
  return value
}
// @ts-expect-error what the callback returned is a number
const moved: Promise<string> = move()

// Roles, events, errors
equal<Same<Role, (typeof node)['role']>>()
// @ts-expect-error the role is the cluster's to give
node.role = 'active'
node.on('role', ({ role, from, reason }) => {
  equal<Same<typeof role, Role>>()
  equal<Same<typeof from, Role>>()
  return reason.length
})
node.on('possibleLoss', ({ missing }) => missing.join())
// @ts-expect-error no event of this name
node.on('takeover', () => undefined)
// @ts-expect-error the event has no such field
node.on('possibleLoss', ({ lost }) => lost)
equal<Same<NodeEvents['vaulted'][0]['incident'], VaultIncident>>()
void node.whileActive(async ({ signal, term }) => void (signal.aborted ? term.epoch : term.nodeId))
// @ts-expect-error an order names the members that it goes on without
void node.takeOver({})
const status: NodeStatus = node.status()
// @ts-expect-error a status is only read
status.role = 'standby'

function activeOf(error: unknown): string | undefined {
  // @ts-expect-error no such code
  if (HotspareError.is(error, 'NOT_THE_ACTIVE')) return undefined
  if (!HotspareError.is(error, 'NOT_ACTIVE')) return undefined
  equal<Same<typeof error.code, ErrorCode>>()
  return error.details.active
}

export { activeOf, moved, receipt, status }
