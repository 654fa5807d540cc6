/** The style of all pages. It is part of each page, so that the first paint needs no second request. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --text: #1b1f24; --back: #fff; --faint: #59636e; --line: #d1d9e0; --card: #f6f8fa; --link: #0550ae;
  --kvm: #e69f00; --qemu: #d55e00; --notice: #e0a800;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6edf3; --back: #0d1117; --faint: #9198a1; --line: #3d444d; --card: #161b22; --link: #79c0ff;
  }
}
body { font: 15px/1.5 system-ui, sans-serif; margin: 0; color: var(--text); background: var(--back) }
main, footer { max-width: 100rem; margin: auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 1rem 0 .5rem; overflow-wrap: anywhere }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem }
a { color: var(--link); overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% }
caption { text-align: left; font-weight: bold; padding: .5rem 0 }
th, td { padding: .3rem .75rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line) }
th, td { font-variant-numeric: tabular-nums; vertical-align: top }
th:first-child, td.text, th.text, td.text ~ td { text-align: left }
tbody th { font-weight: normal; overflow-wrap: anywhere; min-width: 8rem }
td.number { white-space: nowrap }
#vms { font-size: .9rem }
#vms td[data-label="what to change"] { min-width: 11rem }
.wide { overflow-x: auto }
thead th { font-size: .85rem; vertical-align: bottom }
thead button { font: inherit; color: inherit; background: none; border: 0; padding: 0; text-align: inherit;
  cursor: pointer }
thead button:hover { text-decoration: underline }
[aria-sort] button::after { content: " \\25b2" }
[aria-sort=descending] button::after { content: " \\25bc" }
.unknown, .faint, footer, .legend-time { color: var(--faint) }
.notice { border-left: 4px solid var(--notice); background: var(--card); padding: .5rem 1rem }
.controls { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin: .5rem 0 }
.controls[hidden] { display: none }
input { font: inherit; padding: .25rem .5rem; border: 1px solid var(--faint); border-radius: 4px; max-width: 100%;
  box-sizing: border-box; color: inherit; background: var(--back) }
details { border: 1px solid var(--line); border-left: 4px solid var(--qemu); border-radius: 4px;
  padding: .5rem 1rem; margin: .5rem 0; background: var(--card) }
details.info { border-left-color: var(--kvm) }
summary { cursor: pointer; overflow-wrap: anywhere }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: .5rem 0 }
dd { margin: 0; overflow-wrap: anywhere }
.key-figures { display: flex; flex-wrap: wrap; gap: .5rem }
.key-figures div { flex: 1 5rem; max-width: 10rem; border: 1px solid var(--line); border-radius: 4px;
  padding: .4rem .75rem; background: var(--card) }
.key-figures dt { color: var(--faint); font-size: .85rem; white-space: nowrap }
.key-figures dd { font-size: 1.2rem; font-variant-numeric: tabular-nums }
.trend { min-width: 7.5rem }
.trend svg { width: 7.5rem; height: 1.5rem; display: block }
.spark-kvm { fill: var(--kvm); fill-opacity: .5 }
.spark-qemu { fill: none; stroke: var(--qemu); stroke-width: 1.5 }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 1rem }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 0 2rem;
  align-items: start }
figure { margin: 0; min-width: 0; border: 1px solid var(--line); border-radius: 4px; padding: .5rem .75rem }
figcaption { font-weight: bold }
.plot { color: var(--faint); border-color: var(--line); overflow: hidden; min-height: 200px }
.legend-time { margin: 0; font-size: .85rem; min-height: 1.3rem }
.legend { display: flex; flex-wrap: wrap; gap: 0 .75rem; font-size: .85rem }
.legend button { font: inherit; color: inherit; background: none; border: 0; padding: .1rem 0; cursor: pointer;
  text-align: left; overflow-wrap: anywhere }
.legend button[aria-pressed=false] { text-decoration: line-through; color: var(--faint) }
.legend i { display: inline-block; width: .75em; height: .75em; margin-right: .35em }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px }
footer { padding-top: 1rem; padding-bottom: 1rem; font-size: .85rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere }
@media (max-width: 60rem) {
  th, td, code { overflow-wrap: anywhere; padding-right: .4rem }
  tbody th, #vms td[data-label="what to change"] { min-width: 0 }
  .cards, .cards tbody, .cards tr, .cards th, .cards td, .cards caption { display: block }
  .cards thead { display: block }
  .cards thead tr { display: flex; flex-wrap: wrap; gap: .25rem .75rem }
  .cards tbody tr { border: 1px solid var(--line); border-radius: 4px; padding: .25rem .75rem; margin: .5rem 0 }
  .cards tr[hidden] { display: none }
  .cards th, .cards td { border: 0; padding: .1rem 0 }
  .cards tbody td { display: flex; justify-content: space-between; gap: 1rem; text-align: right;
  overflow-wrap: anywhere }
  .cards tbody td::before { content: attr(data-label); color: var(--faint); flex: none }
  .cards tbody th { font-weight: bold }
}
`;
