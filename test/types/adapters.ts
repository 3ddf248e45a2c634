/** What an adapter has to offer; what lacks a part of it does not compile. See `application.ts`. */
import type {
  Clock,
  Connection,
  Listener,
  OpenStorage,
  PromotionGate,
  Storage,
  Transport,
  TreeStore,
} from 'hotspare'
import { memory } from 'hotspare/storage/memory'
import { storageKit, transportKit } from 'hotspare/testing'
import { memoryNetwork } from 'hotspare/transport/memory'
import { equal, type Same } from './same.js'

declare const connection: Connection
declare const listener: Listener
declare const opened: OpenStorage

// A transport
const transport: Transport = {
  name: 'radio',
  listen: async () => listener,
  dial: async () => connection,
}
// @ts-expect-error it listens, too
const onlyDials: Transport = { name: 'radio', dial: async () => connection }
const dialsNothing: Transport = {
  name: 'radio',
  listen: async () => listener,
  // @ts-expect-error a dial gives a connection
  dial: async () => undefined,
}
// @ts-expect-error frames are lists of bytes
connection.send('hello')

// A storage
const storage: Storage = { name: 'tape', open: async () => opened }
const closed: Storage = {
  name: 'tape',
  // @ts-expect-error an open storage has documents, logs, objects and a tree
  open: async () => ({ close: async () => undefined }),
}
declare const tree: TreeStore
void tree.apply([{ kind: 'put', path: 'a', bytes: new Uint8Array(1), mode: 0o644 }])
// @ts-expect-error no such operation
void tree.apply([{ kind: 'move', path: 'a', to: 'b' }])

// A gate, a clock
const gate: PromotionGate = { mayBecomeActive: async () => true }
// @ts-expect-error a clock tells the time, too
const clock: Clock = { setTimer: () => undefined, clearTimer: () => undefined }

// What the library brings fits
const fits: { storage: Storage; transport: Transport } = {
  storage: memory(),
  transport: memoryNetwork().transport('alpha:1'),
}
declare const test: (name: string, run: () => Promise<void>) => void
storageKit({ name: 'tape', create: async () => ({ storage, cleanup: async () => {} }), test })
// @ts-expect-error a kit makes its subject itself, for each test
storageKit({ name: 'tape', storage, test })
// @ts-expect-error a transport is tested with both ends of it
transportKit({ name: 'radio', create: async () => ({ transport }), test })
equal<Same<ReturnType<typeof gate.mayBecomeActive>, Promise<boolean>>>()

export { clock, closed, dialsNothing, fits, gate, onlyDials, storage, transport }
