// A voicemail server: recordings are files, mailboxes are state in memory, and every node has all of it. One node is
// active and takes new messages; the other answers questions, and sends callers with a message to the active one.
//
//   node server.js alpha [config.json]
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { ClusterNode, HotspareError, neverSynced, SyncPolicy, synced } from 'hotspare'
import { directory } from 'hotspare/storage/directory'
import { tcp } from 'hotspare/transport/tcp'
import { Mailboxes } from './mailboxes.js'

const [id = 'alpha', file = new URL('config.json', import.meta.url)] = process.argv.slice(2)
const { secret, nodes, folder = `data/${id}` } = JSON.parse(readFileSync(file, 'utf8'))
const self = nodes.find((one) => one.id === id)
if (self === undefined) throw new Error(`there is no node ${id} in ${file}`)

/** The web server listens where the node does, on a port of its own. */
const hostOf = ({ address }) => address.slice(0, address.lastIndexOf(':'))
const urlOf = (one) => `http://${hostOf(one)}:${one.http}`

const keepMs = 30 * 24 * 60 * 60 * 1000
const mailboxes = new Mailboxes()

const node = new ClusterNode({
  cluster: 'voicemail',
  id,
  members: nodes.map(({ id, address }) => ({ id, address })),
  transport: tcp({ listen: self.address }),
  storage: directory(folder),
  secret,
  policy: new SyncPolicy({
    recordings: synced('recordings/**'),
    mailboxes: mailboxes.replicated(),
    machine: neverSynced(['settings.json', 'logs/**'], { reason: 'differs per machine' }),
  }),
  logger: ({ name, event }) => {
    if (!name.endsWith('Progress')) console.log(id, name, JSON.stringify(event))
  },
})

/** The bytes of a request. */
async function bodyOf(request) {
  const parts = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts)
}

/** A recording and its entry in the mailbox: both or neither, on every node. */
async function leaveMessage(box, recording) {
  const message = { id: randomUUID(), bytes: recording.length, at: new Date().toISOString() }
  await node.transaction(async ({ files, update }) => {
    await files.write(`recordings/${box}/${message.id}.wav`, recording)
    update('mailboxes', { kind: 'left', box, message })
  })
  return message
}

async function removeMessage(box, messageId) {
  await node.transaction(async ({ files, update }) => {
    await files.remove(`recordings/${box}/${messageId}.wav`)
    update('mailboxes', { kind: 'removed', box, id: messageId })
  })
}

/** Answers a request: [status, body], the body as bytes or as something for JSON. */
async function answer(request) {
  const { method, url = '/' } = request
  const [kind, box = '', messageId] = url.split('/').slice(1).map(decodeURIComponent)
  if (kind === 'status') return [200, node.status()]
  if (!/^[a-z0-9-]{1,32}$/.test(box)) return [404, { error: 'no such mailbox' }]
  switch (`${method} ${kind}`) {
    case 'GET messages':
      if (messageId === undefined) return [200, mailboxes.of(box)]
      return [200, await node.files.read(`recordings/${box}/${messageId}.wav`)]
    case 'POST messages':
      return [201, await leaveMessage(box, await bodyOf(request))]
    case 'DELETE messages':
      await removeMessage(box, messageId)
      return [200, {}]
    case 'PUT greetings': {
      const text = (await bodyOf(request)).toString()
      await node.update('mailboxes', { kind: 'greeting', box, text })
      return [200, { greeting: text }]
    }
    default:
      return [404, { error: 'no such thing' }]
  }
}

/** What to do with a failure: go to the active node, come back later, or give up. */
function answerToError(error, request) {
  if (HotspareError.is(error, 'FILE_NOT_FOUND')) return [404, { error: error.message }]
  if (HotspareError.is(error, 'NOT_ACTIVE')) {
    const active = nodes.find((one) => one.id === error.details.active)
    if (active !== undefined) {
      return [307, {}, { location: `${urlOf(active)}${request.url}` }]
    }
  }
  const later = HotspareError.is(error) && error.retryable
  return [later ? 503 : 500, { error: String(error) }, later ? { 'retry-after': '1' } : {}]
}

const server = createServer(async (request, response) => {
  const [status, body, headers = {}] = await answer(request).catch((error) => {
    return answerToError(error, request)
  })
  const bytes = body instanceof Uint8Array
  const type = bytes ? 'audio/wav' : 'application/json'
  response.writeHead(status, { 'content-type': type, ...headers })
  response.end(bytes ? body : `${JSON.stringify(body)}\n`)
})

/** What only the active node does. */
async function serveWhileActive(tenure) {
  console.log(id, `takes messages now, epoch ${tenure.epoch}`)
  while (!tenure.signal.aborted) {
    const old = [...mailboxes.before(new Date(Date.now() - keepMs).toISOString())]
    for (const { box, id } of old) await removeMessage(box, id)
    await sleep(60_000, undefined, { signal: tenure.signal }).catch(() => undefined)
  }
}

/** The other node takes over at once. */
async function shutDown() {
  server.close()
  server.closeAllConnections()
  await node.stop()
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, shutDown)

node.whileActive(serveWhileActive).catch(async (error) => {
  // This node is still active, and does not do its work any more: the other one is to take over.
  console.error(id, error)
  process.exitCode = 1
  await shutDown()
})

try {
  await node.start()
  server.listen(self.http, hostOf(self), () => console.log(id, urlOf(self)))
} catch (error) {
  // It was stopped while it waited for the other one.
  if (!HotspareError.is(error, 'STOPPED')) throw error
}
