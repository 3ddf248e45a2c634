import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

/**
 * Every `ts` block of the README, of docs/ and of the comments in src/ type-checks against the
 * package as it is now. One program holds all of them, each as a file of its own that exists in
 * memory only and keeps the line numbers of its page.
 */

const root = resolve(import.meta.dirname, '../..')

/**
 * What a fragment may use without saying where it comes from; blocks with an `import` have to be
 * complete.
 */
const preamble = [
  "import { ClusterNode, HotspareError, SyncPolicy, appState, neverSynced, synced } from 'hotspare'",
  "import type { MemberOptions, Storage, Tenure, Transport } from 'hotspare'",
  'declare const node: ClusterNode',
  'declare const members: readonly MemberOptions[]',
  'declare const transport: Transport',
  'declare const storage: Storage',
  'declare const policy: SyncPolicy',
  'declare const secret: string',
  'declare const tenure: Tenure',
].join('; ')

interface Block {
  /** The page, relative to the root. */
  readonly page: string
  /** The line of the page that the block's first line stands in, from 1. */
  readonly line: number
  readonly text: string
}

/** The blocks of a page; in source files those within comments, without their leading asterisks. */
function blocksOf(page: string): Block[] {
  const isSource = page.endsWith('.ts')
  const lines = readFileSync(resolve(root, page), 'utf8')
    .split('\n')
    .map((line) => (isSource ? line.replace(/^\s*\* ?/, '') : line))
  const blocks: Block[] = []
  for (let at = 0; at < lines.length; at += 1) {
    if (lines[at]?.trim() !== '```ts') continue
    const end = lines.findIndex((line, index) => index > at && line.trim() === '```')
    if (end < 0) throw new Error(`${page}:${at + 1}: the block does not end`)
    blocks.push({ page, line: at + 2, text: lines.slice(at + 1, end).join('\n') })
    at = end
  }
  return blocks
}

/**
 * A block as a module whose lines are those of its page; a fragment stands in a scope below the
 * preamble.
 */
function moduleOf({ line, text }: Block): string {
  const padding = '\n'.repeat(line - 1)
  if (/^(import|export) /m.test(text)) return padding + text
  return `${preamble}; export {}; {${padding}${text}\n}`
}

/** What the compiler says of all blocks, by name of the block. */
function check(blocks: readonly Block[]): Map<string, string[]> {
  const configFile = resolve(root, 'tsconfig.test.json')
  const { config } = ts.readConfigFile(configFile, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const texts = new Map(blocks.map((block) => [fileOf(block), moduleOf(block)]))
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (name) => texts.has(name) || fileExists(name)
  host.readFile = (name) => texts.get(name) ?? readFile(name)
  host.getSourceFile = (name, version, ...rest) => {
    const text = texts.get(name)
    if (text === undefined) return getSourceFile(name, version, ...rest)
    return ts.createSourceFile(name, text, version)
  }
  const program = ts.createProgram({ rootNames: [...texts.keys()], options, host })
  const said = new Map<string, string[]>()
  for (const block of blocks) {
    const file = program.getSourceFile(fileOf(block))
    const found = [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ]
    said.set(
      nameOf(block),
      found.map((one) => describeProblem(block, one)),
    )
  }
  return said
}

function describeProblem({ page }: Block, { file, start = 0, messageText }: ts.Diagnostic): string {
  const line = file?.getLineAndCharacterOfPosition(start).line ?? 0
  return `${page}:${line + 1}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
}

function filesIn(folder: string, suffix: string, recursive: boolean): string[] {
  const names = readdirSync(resolve(root, folder), { recursive, encoding: 'utf8' })
  return names.filter((name) => name.endsWith(suffix)).map((name) => `${folder}/${name}`)
}

/** Beside the tests, so that packages are found as for them. */
function fileOf({ page, line }: Block): string {
  return resolve(root, 'test/docs', `${page.replaceAll('/', '-')}.${line}.ts`)
}

function nameOf({ page, line }: Block): string {
  return `${page}:${line}`
}

describe('examples in the documentation', () => {
  const pages = ['README.md', ...filesIn('docs', '.md', false), ...filesIn('src', '.ts', true)]
  const blocks = pages.flatMap(blocksOf)
  const wrong = { page: 'wrong.md', line: 7, text: "await node.files.wrote('messages/1.txt', 'x')" }
  const said = check([...blocks, wrong])

  it('are there', () => {
    const found = new Set(blocks.map(({ page }) => page))
    expect([...found]).toEqual(
      expect.arrayContaining(['README.md', 'docs/adapters.md', 'src/index.ts']),
    )
  })

  it('are really checked', () => {
    const [problem] = said.get(nameOf(wrong)) ?? []
    expect(problem).toMatch(/^wrong\.md:7: Property 'wrote' does not exist/)
  })

  it.each(blocks.map(nameOf))('%s type-checks', (name) => {
    expect(said.get(name)).toEqual([])
  })
})
