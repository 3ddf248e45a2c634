/**
 * The worker thread of one lane: runs the calls that the main thread sends, and returns the
 * answers.
 */

import { parentPort, workerData } from 'node:worker_threads'
import { storageError } from '../base/fs-error.js'
import { Layout } from '../base/layout.js'
import { Engine } from './engine.js'
import { toWire, type WorkerAnswer, type WorkerAsk, type WorkerStart } from './lane.js'

const start = workerData as WorkerStart
const engine = new Engine(new Layout(start.root, start.lane), start.lending)

parentPort?.on('message', (message: WorkerAsk) => {
  const { id } = message
  const fail = (error: unknown): void => {
    send({ id, error: toWire(storageError(error, 'the storage failed in', start.root)) })
  }
  try {
    // The cast is safe because kind and argument come from one typed call of the main thread.
    const outcome = engine.do(message.kind, message.ask as never) as unknown
    if (outcome instanceof Promise) outcome.then((answer) => send({ id, answer }), fail)
    else send({ id, answer: outcome })
  } catch (error) {
    fail(error)
  }
})

function send(message: WorkerAnswer): void {
  parentPort?.postMessage(message, 'answer' in message ? buffersOf(message.answer) : [])
}

/** The buffers of an answer that can be transferred instead of copied. */
function buffersOf(answer: unknown): ArrayBuffer[] {
  if (ArrayBuffer.isView(answer)) return whole(answer)
  if (typeof answer !== 'object' || answer === null) return []
  if ('stats' in answer && ArrayBuffer.isView(answer.stats)) return whole(answer.stats)
  return []
}

function whole(view: ArrayBufferView): ArrayBuffer[] {
  return view.buffer instanceof ArrayBuffer && view.byteLength > 0 ? [view.buffer] : []
}
