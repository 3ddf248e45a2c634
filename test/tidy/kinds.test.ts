/** What a class kind does stands in its record: no other source knows the name of a kind. */
import { basename } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { kindNames } from '../../src/policy/kinds/table.js'
import { filesBelow, textOf } from './sources.js'

const room = 'src/policy/kinds/'

/** The kinds that a source names in string literals, in code or in types; comments do not count. */
function kindsNamedIn(text: string): string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) && kindNames.includes(node.text)) found.push(node.text)
    node.forEachChild(visit)
  }
  visit(ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest))
  return found
}

describe('the class kinds', () => {
  it('have a file each, with the name of the kind', () => {
    const files = filesBelow(room)
      .map((path) => basename(path, '.ts'))
      .filter((name) => name !== 'kind' && name !== 'table')
      .map((name) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()))
    expect(files).toEqual([...kindNames].sort())
  })

  it('are named by no source outside their room', () => {
    const named = filesBelow('src')
      .filter((path) => !path.startsWith(room))
      .flatMap((path) => kindsNamedIn(textOf(path)).map((kind) => `${path}: '${kind}'`))
    expect(named).toEqual([])
  })

  it.each([
    ["if (declaration.kind === 'synced') go()", ['synced']],
    ["switch (kind) { case 'appState': case `neverSynced`: }", ['appState', 'neverSynced']],
    ["interface Rule { kind: 'synced' | 'appState' }", ['synced', 'appState']],
    ["['neverSynced'].includes(kind)", ['neverSynced']],
    ["// 'synced'\nconst text = 'synced files'", []],
  ])('would be found in %j', (text, kinds) => {
    expect(kindsNamedIn(text)).toEqual(kinds)
  })
})
