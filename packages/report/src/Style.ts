/** The page's style sheet: system fonts, one accent, eight series colours that keep their contrast in light and dark. */
export const style = `
:root{color-scheme:light dark;--paper:#fff;--ink:#1d2129;--soft:#5d6673;--rule:#e1e4e9;--tint:#f5f6f8;--accent:#2458b8;--good:#1a7f4b;--bad:#b3362c;--made:#7446b0;
--c0:#2a66c8;--c1:#c9562a;--c2:#23895a;--c3:#8a4bbf;--c4:#b58a00;--c5:#128a9e;--c6:#c23f79;--c7:#6a6f7a;
--source:#5d6673;--map:#2a66c8;--route:#c9562a;--expand:#b58a00;--union:#128a9e;--fold:#23895a;--train:#8a4bbf;--shade:#fff}
@media (prefers-color-scheme:dark){:root{--paper:#15181d;--ink:#e4e7ec;--soft:#98a1ae;--rule:#2c323b;--tint:#1d2127;--accent:#8ab1ff;--good:#62c893;--bad:#f08478;--made:#c29bf2;
--c0:#74a5ff;--c1:#f2945f;--c2:#5cc795;--c3:#c29bf2;--c4:#dcb63f;--c5:#55c7da;--c6:#f287b5;--c7:#a3a9b5;
--source:#98a1ae;--map:#74a5ff;--route:#f2945f;--expand:#dcb63f;--union:#55c7da;--fold:#5cc795;--train:#c29bf2;--shade:#15181d}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;line-height:1.2;margin:0 0 4px;font-weight:650;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:18px;margin:44px 0 12px;padding-top:14px;border-top:1px solid var(--rule);font-weight:650}
h3{font-size:15px;margin:24px 0 8px;font-weight:650}
p{margin:0 0 8px}
a{color:var(--accent)}
code,.mono{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.caption,.sub{color:var(--soft);font-size:13px}
.status{display:inline-block;font-size:13px;font-weight:600;padding:1px 9px;border-radius:10px;border:1px solid currentColor;vertical-align:3px;margin-left:8px;letter-spacing:0}
.status.done{color:var(--good)}.status.failed{color:var(--bad)}.status.running{color:var(--accent)}
.error{border-left:3px solid var(--bad);background:var(--tint);padding:10px 14px;margin:16px 0;white-space:pre-wrap;overflow-wrap:anywhere}
dl.head{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,auto));gap:12px 20px;margin:20px 0 0}
dl.head div{min-width:0}dl.head .wide{grid-column:1/-1}
dt{color:var(--soft);font-size:12px}dd{margin:0;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
nav{margin:20px 0 0;font-size:13px;display:flex;flex-wrap:wrap;gap:4px 16px}nav a{text-decoration:none;white-space:nowrap}nav a:hover{text-decoration:underline}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:5px 14px 5px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule)}
thead th{color:var(--soft);font-weight:500;font-size:12px;vertical-align:bottom;border-bottom-color:var(--soft)}
thead th.group{color:var(--ink);font-weight:600;font-size:13px;text-align:center;border-bottom-color:var(--rule)}
th[scope]{font-weight:600;white-space:nowrap}
tbody+tbody tr:first-child>*{border-top:1px solid var(--soft)}
td.num,th.num{text-align:right;white-space:nowrap;padding-right:0;padding-left:18px}
th.group{padding-left:18px;padding-right:0}
td.resolved{font-weight:650}td.resolved .spread{font-weight:400}
td.none,.spread{color:var(--soft)}.spread{font-size:12px}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;margin:8px 0 0;padding:0;color:var(--soft);font-size:12.5px}
.legend li{display:flex;align-items:center;gap:6px}.legend i{flex:none;font-style:normal}
.legend .line{width:16px;height:3px;border-radius:2px;background:currentColor}
.legend .line.again{background:repeating-linear-gradient(90deg,currentColor 0 5px,transparent 5px 8px)}polyline.again{stroke-dasharray:5 3}
.legend .swatch{width:11px;height:11px;border-radius:2px}.legend .mark{color:var(--ink)}
.legend .dash{width:18px;border-top:1.5px dashed var(--soft)}.legend .dash.solid{border-top-style:solid}
figure{margin:0}figcaption{font-size:13px;font-weight:600;margin-bottom:2px}
svg{display:block}svg text{font-family:inherit;fill:var(--ink)}
svg.chart{width:100%;height:auto}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(290px,1fr));gap:22px 26px;margin-top:16px}
.chart .tick,.chart .label{font-size:11px;fill:var(--soft)}.chart text{font-variant-numeric:tabular-nums}
.grid line{stroke:var(--rule);stroke-width:1}.grid .base,.grid .short{stroke:var(--soft)}
polyline{fill:none;stroke:currentColor;stroke-linejoin:round}polyline.raw{stroke-width:1;opacity:.2}polyline.smooth{stroke-width:1.8}
.area{fill:currentColor;fill-opacity:.16;stroke:currentColor;stroke-width:1.4}.whisker{stroke:currentColor;stroke-width:1.6}.mean{stroke:currentColor;stroke-width:2}.dot{fill:currentColor;fill-opacity:.45}
.cut{stroke:var(--ink);stroke-width:1.3;stroke-dasharray:4 3}
${Array.from({ length: 8 }, (_, i) => `.c${i}{color:var(--c${i})}`).join("")}
body{overflow-x:clip}.dag .scroll{width:fit-content;min-width:100%;max-width:calc(100vw - 40px);position:relative;left:50%;transform:translateX(-50%)}
.dag svg{height:auto;max-width:none}
.dag .box{fill:var(--tint);stroke:var(--rule)}.dag .waiting .box{stroke-dasharray:3 3}
.dag .id{font-size:13px;font-weight:600}.dag .op,.dag .note,.dag .badge{font-size:11px;fill:var(--soft)}.dag .note,.dag .badge{text-anchor:end;font-variant-numeric:tabular-nums}
.dag .badge{fill:var(--ink)}.dag .cached .note{font-style:italic}
.edge{fill:none;stroke:var(--soft);stroke-width:1.2;opacity:.75}.edge.artifact{stroke-dasharray:4 3}
.dag .rows{font-size:10.5px;fill:var(--soft);text-anchor:middle;paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round;font-variant-numeric:tabular-nums}
marker path{fill:var(--soft)}
${["source", "map", "route", "expand", "union", "fold", "train"]
  .map((kind) => `.dag .${kind} .stripe{fill:var(--${kind})}.swatch.${kind}{background:var(--${kind})}`)
  .join("")}
.beside{display:flex;flex-wrap:wrap;gap:20px 40px;align-items:flex-start}.beside figure{flex:1 1 320px;max-width:480px}.beside .facts{flex:0 1 auto}
.facts th{font-weight:400;color:var(--soft);white-space:normal}
.cards{list-style:none;padding:0;margin:10px 0 0;display:grid;grid-template-columns:repeat(auto-fill,minmax(228px,1fr));gap:10px}
.card{display:flex;gap:12px;border:1px solid var(--rule);border-radius:6px;padding:10px;min-width:0;break-inside:avoid}
.picture{flex:none;width:72px;height:72px;display:flex;align-items:center;justify-content:center;border-radius:4px;overflow:hidden;background:#fff}
.picture img{max-width:72px;max-height:72px;image-rendering:auto}.picture.missing{background:var(--tint);color:var(--soft);font-size:11px}
.said{min-width:0;font-size:13px;line-height:1.4}.said p{margin:0 0 4px;overflow-wrap:anywhere}.said p:last-child{margin:0}
.tag{color:var(--soft);font-size:11.5px;font-variant-numeric:tabular-nums}.good{color:var(--good)}.bad{color:var(--bad)}.made{color:var(--made)}.quiet{color:var(--soft)}
summary{cursor:pointer;color:var(--soft);font-size:13px;margin-bottom:8px}
.credit{white-space:pre-line;font-size:13px;color:var(--soft);max-width:70ch}
footer{margin-top:48px;color:var(--soft);font-size:12.5px;border-top:1px solid var(--rule);padding-top:12px}
@media (max-width:600px){main{padding:20px 14px 40px}h1{font-size:22px}.cards{grid-template-columns:1fr}th,td{padding-right:10px}}
@media print{:root{--paper:#fff;--ink:#111;--soft:#555;--rule:#ccc;--tint:#f6f6f6}body{font-size:11px}main{max-width:none;padding:0}nav{display:none}h2{break-after:avoid}figure,table,.card{break-inside:avoid}.scroll{overflow:visible}.dag .scroll{max-width:100%}.dag svg{max-width:100%}}
`
