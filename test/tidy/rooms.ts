/**
 * The rooms of `src`, from the lowest to the highest: a room imports only from rooms above it in
 * this list, and from itself. A file belongs to the room with the longest path that begins its own.
 */

/** A folder of `src`, or a single file. */
export interface Room {
  readonly path: string
  /** Whether it touches the system: files, sockets, threads, processes. */
  readonly touchesSystem?: true
  /** The only rooms that it imports from beside itself; default: all that are listed before it. */
  readonly only?: readonly string[]
}

/** What adapters and the policy may know of the library: the contract, and small tools. */
const contract = ['error-codes.ts', 'errors.ts', 'interfaces', 'util']

export const rooms: readonly Room[] = [
  { path: 'error-codes.ts' },
  { path: 'errors.ts' },
  { path: 'interfaces' },
  { path: 'util' },
  { path: 'history' },
  { path: 'policy', only: contract },
  { path: 'protocol' },
  { path: 'changes' },
  { path: 'copy/journal' },
  { path: 'copy/files' },
  { path: 'copy/contents' },
  { path: 'copy/checkpoint' },
  { path: 'copy/switch' },
  { path: 'copy' },
  { path: 'copy/vault' },
  { path: 'replication/in-sync' },
  { path: 'replication/content' },
  { path: 'replication/write' },
  { path: 'replication' },
  { path: 'replication/bulk' },
  { path: 'replication/restore' },
  { path: 'replication/stream' },
  { path: 'core/state', only: [...contract, 'history'] },
  { path: 'core/standing', only: [...contract, 'history', 'core/state'] },
  { path: 'core', only: [...contract, 'history', 'core/state', 'core/standing'] },
  { path: 'node/contract' },
  { path: 'node/peers' },
  { path: 'node/data' },
  { path: 'node/roles' },
  { path: 'node/report' },
  { path: 'node/writes' },
  { path: 'node' },
  { path: 'cluster-node.ts' },
  { path: 'index.ts' },
  { path: 'storage', only: contract },
  { path: 'storage/memory', only: [...contract, 'storage'] },
  { path: 'storage/memory.ts', only: [...contract, 'storage', 'storage/memory'] },
  { path: 'storage/directory/base', only: [...contract, 'storage'], touchesSystem: true },
  {
    path: 'storage/directory/engine',
    only: [...contract, 'storage', 'storage/directory/base'],
    touchesSystem: true,
  },
  {
    path: 'storage/directory',
    only: [...contract, 'storage', 'storage/directory/base', 'storage/directory/engine'],
    touchesSystem: true,
  },
  {
    path: 'storage/directory.ts',
    only: [
      ...contract,
      'storage',
      'storage/directory/base',
      'storage/directory/engine',
      'storage/directory',
    ],
    touchesSystem: true,
  },
  { path: 'transport/memory', only: contract },
  { path: 'transport/memory.ts', only: [...contract, 'transport/memory'] },
  { path: 'transport/tcp', only: contract, touchesSystem: true },
  { path: 'transport/tcp.ts', only: [...contract, 'transport/tcp'], touchesSystem: true },
  { path: 'testing', touchesSystem: true },
]
