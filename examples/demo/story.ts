/**
 * The steps of the demo: copy, follow, lose the active, come back, switch over, and check
 * everything.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RestoredEvent } from 'hotspare'
import { differing, differingFromTree, lostWrites, readDisk } from './check.js'
import { freePorts, Member } from './member.js'
import { type Ack, machineMs } from './messages.js'
import { News } from './news.js'
import { bytesText, lagText, msText, type Timeline } from './timeline.js'
import { patienceMs, type Tree } from './tree.js'

/** The results of the demo. `files` and `bytes` are those of one node at the end. */
export interface Findings {
  readonly ok: boolean
  readonly nodes: number
  /** From the kill of the active until another node acknowledged a write. */
  readonly failoverMs: number
  /** The longest time without an acknowledged write around the planned switchover. */
  readonly switchoverPauseMs: number
  readonly files: number
  readonly bytes: number
  readonly ackedWrites: number
  readonly lostAckedWrites: number
  readonly mismatchedFiles: number
  readonly rejoin: { readonly method: string; readonly bytesMoved: number }
}

export const names: readonly string[] = ['alpha', 'beta', 'gamma']

const callers = 8
/** How often it shows the lag of standbys that it waits for. */
const lagEveryMs = 250

export class Story {
  readonly #tree: Tree
  readonly #root: string
  readonly #timeline: Timeline
  readonly #news: News
  readonly #members: Member[] = []
  /** The results so far, for a demo that fails before its end. */
  #found: Partial<Findings> = { nodes: names.length }
  #seeded: ReadonlyMap<string, string> = new Map()

  constructor(tree: Tree, root: string, timeline: Timeline) {
    this.#tree = tree
    this.#root = root
    this.#timeline = timeline
    this.#news = new News(timeline)
  }

  async tell(): Promise<Findings> {
    await this.#bootAll()
    await this.#seed()
    await this.#join()
    const failoverMs = await this.#loseTheActive()
    this.#found = { ...this.#found, failoverMs }
    const rejoin = await this.#comeBack()
    this.#found = { ...this.#found, rejoin }
    const switchoverPauseMs = await this.#handOver()
    this.#found = { ...this.#found, switchoverPauseMs }
    const nodes = names.length
    return { ...(await this.#count()), nodes, failoverMs, switchoverPauseMs, rejoin }
  }

  /** The results so far. */
  get found(): Partial<Findings> {
    return { ...this.#found, ackedWrites: this.#news.acks.length }
  }

  /** Ends all processes. */
  async end(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.kill()))
  }

  /** Removes what the nodes wrote. */
  async cleanUp(): Promise<void> {
    await rm(this.#root, { recursive: true, force: true })
  }

  async #bootAll(): Promise<void> {
    const ports = await freePorts(names.length)
    const members = names.map((id, at) => ({ id, address: `127.0.0.1:${ports[at]}` }))
    for (const { id } of members) {
      const plan = { id, members, folder: join(this.#root, id) }
      this.#members.push(new Member(plan, (member, news) => this.#news.take(member, news)))
    }
    this.#timeline.heading('Three machines, here three processes with a directory each')
    for (const member of this.#members) {
      member.boot()
      this.#timeline.say(`process ${member.pid}, ${member.plan.folder}`, member.id)
    }
  }

  /** The first node is active alone, and gets a real tree through the API. */
  async #seed(): Promise<void> {
    const [first] = this.#members
    if (first === undefined) throw new Error('no members')
    this.#timeline.heading('The first one serves alone')
    await first.start({ startupWaitMs: 500 })
    const { folder, files } = this.#tree
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
    this.#timeline.say(
      `copies ${files.length} files, ${bytesText(bytes)}: ${this.#tree.name}`,
      first.id,
    )
    const beganMs = performance.now()
    const seeded = await first.ask('seed', { folder, files })
    this.#seeded = seeded.hashes
    this.#timeline.endBar(first.id)
    const tookMs = performance.now() - beganMs
    const count = seeded.hashes.size
    const rate = `${Math.round((count / tookMs) * 1000)} files a second`
    this.#timeline.good(`wrote ${count} files in ${msText(tookMs)}, ${rate}`, first.id)
    if (seeded.refused.length > 0) {
      const [example] = seeded.refused
      this.#timeline.say(`refused ${seeded.refused.length} names such as ${example}`, first.id)
    }
  }

  /** The others join while writes go on. */
  async #join(): Promise<void> {
    const [first, ...others] = this.#members
    this.#timeline.heading('The others join: a remote restore each, while writes go on')
    await first?.ask('beginLoad', { callers })
    await Promise.all(others.map((member) => member.start()))
    await Promise.all(others.map((member) => member.ask('beginLoad', { callers })))
    await this.#whenInSync(others.length)
    await this.#writeFor(1_500)
  }

  async #loseTheActive(): Promise<number> {
    const active = await this.#active()
    this.#timeline.heading('The active is killed in the middle of its writes')
    const killedMs = machineMs()
    this.#timeline.bad(`SIGKILL to ${active.id}, process ${active.pid}`, active.id)
    await active.kill()
    const first = await this.#news.when('a write acknowledged by another node', () => {
      return this.#news.acks.find(({ writer, atMs }) => {
        return atMs > killedMs && !writer.startsWith(active.id)
      })
    })
    const failoverMs = first.atMs - killedMs
    const winner = first.writer.slice(0, first.writer.indexOf('-'))
    this.#timeline.good(`acknowledged a write ${msText(failoverMs)} after the kill`, winner)
    await this.#writeFor(2_000)
    return failoverMs
  }

  async #comeBack(): Promise<Findings['rejoin']> {
    const dead = this.#members.find((member) => !member.running)
    if (dead === undefined) throw new Error('nobody is dead')
    this.#timeline.heading('The dead node comes back, and gets what changed')
    const before = this.#news.restored.length
    await dead.start()
    await dead.ask('beginLoad', { callers })
    const find = (): RestoredEvent | undefined => {
      return this.#news.restored.slice(before).find(({ target }) => target === dead.id)
    }
    const event = await this.#news.when('the rejoin', find, patienceMs(this.#tree))
    await this.#whenInSync(names.length - 1)
    await this.#writeFor(1_000)
    return { method: event.method, bytesMoved: event.bytesMoved }
  }

  async #handOver(): Promise<number> {
    const active = await this.#active()
    const target = this.#members.find(({ id }) => id !== active.id)
    if (target === undefined) throw new Error('there is nobody to hand over to')
    this.#timeline.heading('A planned switchover, under load')
    const beganMs = machineMs()
    this.#timeline.say(`hands over to ${target.id}`, active.id)
    await active.ask('switchover', { to: target.id })
    await this.#news.when('a write acknowledged by the new active', () => {
      return this.#news.acks.find(({ writer, atMs }) => {
        return atMs > beganMs && writer.startsWith(target.id)
      })
    })
    await this.#writeFor(1_000)
    const pauseMs = longestPause(this.#news.acks, beganMs)
    this.#timeline.good(`the longest pause between two writes was ${msText(pauseMs)}`, target.id)
    return pauseMs
  }

  /** Stops everything, and checks the disks without the library. */
  async #count(): Promise<Omit<Findings, 'nodes' | 'failoverMs' | 'switchoverPauseMs' | 'rejoin'>> {
    this.#timeline.heading('The account, from the disks')
    await Promise.all(this.#members.map((member) => member.ask('endLoad', undefined)))
    const active = await this.#active()
    await this.#whenCaughtUp(active)
    for (const member of this.#members) if (member !== active) await member.stop()
    await active.stop()
    const disks = this.#members.map((member) => readDisk(member.plan.folder))
    const [first] = disks
    if (first === undefined) throw new Error('no disks')
    const wrong = new Set(differing(disks))
    for (const disk of disks) {
      for (const path of differingFromTree(disk, this.#seeded)) wrong.add(path)
    }
    const lost = this.#members.flatMap(({ plan }) => lostWrites(plan.folder, this.#news.acks))
    const lostAckedWrites = new Set(lost).size
    const ackedWrites = this.#news.acks.length
    const files = first.hashes.size
    const ok = wrong.size === 0 && lostAckedWrites === 0 && this.#news.failedWrites.length === 0
    const say = (well: boolean, text: string): void => {
      if (well) this.#timeline.good(text)
      else this.#timeline.bad(text)
    }
    const compared = `${files} files, ${bytesText(first.bytes)}, compared by hash on ${disks.length} disks`
    say(wrong.size === 0, `${compared}: ${wrong.size} differ${list([...wrong])}`)
    const lostPaths = [...new Set(lost)].map(({ writer, count }) => `${writer}#${count}`)
    say(
      lostAckedWrites === 0,
      `${ackedWrites} acknowledged writes: ${lostAckedWrites} lost${list(lostPaths)}`,
    )
    return {
      ok,
      files,
      bytes: first.bytes,
      ackedWrites,
      lostAckedWrites,
      mismatchedFiles: wrong.size,
    }
  }

  async #active(): Promise<Member> {
    const running = this.#members.filter((member) => member.running)
    for (const member of running) {
      const { role } = await member.ask('status', undefined)
      if (role === 'active') return member
    }
    throw new Error('no node is active')
  }

  async #whenInSync(count: number): Promise<void> {
    const active = await this.#active()
    const reached = active.ask('inSync', { count, limitMs: patienceMs(this.#tree) })
    await this.#whileShowingLag(active, reached)
    this.#timeline.good(`${count} standbys in sync: any machine may fail now`, active.id)
  }

  /** Shows the lag of the standbys that it waits for. */
  async #whileShowingLag(active: Member, wait: Promise<unknown>): Promise<void> {
    const shown = new Set<string>()
    const showing = new AbortController()
    const ended = wait.finally(() => showing.abort())
    // Its failure is handled below.
    ended.catch(() => undefined)
    while (!showing.signal.aborted) {
      const { peers, pace } = await active.ask('status', undefined)
      for (const { id, inSync, lag } of peers) {
        if (lag === undefined || inSync) {
          if (shown.delete(id)) this.#timeline.endBar(id)
          continue
        }
        shown.add(id)
        const slowed = pace?.peer === id ? `, writers are paced to ${pace.changesPerSecond}/s` : ''
        this.#timeline.bar(id, 1 / (1 + lag.changes), `is behind: ${lagText(lag)}${slowed}`)
      }
      await Promise.race([sleep(lagEveryMs), ended.catch(() => undefined)])
    }
    for (const id of shown) this.#timeline.endBar(id)
    await ended
  }

  async #whenCaughtUp(active: Member): Promise<void> {
    const limitMs = patienceMs(this.#tree)
    await within('standbys that have everything', limitMs, async () => {
      const seqs = await Promise.all(
        this.#members.map(async (member) => (await member.ask('status', undefined)).position?.seq),
      )
      return new Set(seqs).size === 1 && (await active.ask('status', undefined)).role === 'active'
    })
  }

  async #writeFor(ms: number): Promise<void> {
    const before = this.#news.acks.length
    await sleep(ms)
    const written = this.#news.acks.length - before
    this.#timeline.say(`${written} writes acknowledged in ${(ms / 1000).toFixed(1)} s`)
  }
}

/**
 * The longest time between two consecutive acknowledgements, from shortly before a given time on.
 */
function longestPause(acks: readonly Ack[], beganMs: number): number {
  const times = acks.map(({ atMs }) => atMs).filter((atMs) => atMs > beganMs - 500)
  times.sort((a, b) => a - b)
  return times.reduce((longest, atMs, at) => Math.max(longest, atMs - (times[at - 1] ?? atMs)), 0)
}

async function within(what: string, limitMs: number, holds: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + limitMs
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`waited ${limitMs} ms for ${what}`)
    await sleep(20)
  }
}

function list(names: readonly string[]): string {
  if (names.length === 0) return ''
  return ` (${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''})`
}
