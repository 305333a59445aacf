"""How pages look: on light and dark screens from a phone up, and on paper."""

STYLE = """
:root{color-scheme:light dark;--ink:#22303c;--soft:#5b6b78;--rule:#d5dce2;--paper:#fff;--card:#f5f7f9;
--good:#e2f3e8;--weak:#fdf0d8;--good-ink:#1d6b3e;--weak-ink:#8a5a00}
@media screen and (prefers-color-scheme:dark){:root{--ink:#dfe6ec;--soft:#9aa9b5;--rule:#36434e;--paper:#151b20;
--card:#1d252c;--good:#17352a;--weak:#3b2f16;--good-ink:#7fd3a2;--weak-ink:#f0c269}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;max-width:64rem;
margin:0 auto;padding:1.5rem 1.25rem 4rem;color:var(--ink);background:var(--paper)}
h1{font-size:1.7rem;line-height:1.25;margin:.5rem 0 .25rem}
h2{font-size:1.2rem;margin:2.4rem 0 .6rem;padding-top:.7rem;border-top:2px solid var(--rule)}
h3{font-size:1rem;margin:1.2rem 0 .3rem}
p{margin:.5rem 0;max-width:46rem}ul{margin:.4rem 0;padding-left:1.2rem}li{margin:.2rem 0;max-width:46rem}
.lead,figcaption,small{color:var(--soft)}figcaption,small{font-size:.85rem}
.wide{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;margin:.5rem 0;font-variant-numeric:tabular-nums}
td,th{padding:.28rem 1rem .28rem 0;text-align:left;border-bottom:1px solid var(--rule);vertical-align:top}
th{font-size:.82rem;font-weight:600;color:var(--soft)}td{overflow-wrap:break-word}
td:first-child{min-width:7rem}.facts td{overflow-wrap:anywhere}
.digest{font:12px/1.5 ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
figure{margin:.6rem 0;max-width:100%}img{max-width:100%;height:auto;display:block;border-radius:3px}
svg{max-width:100%;height:auto;fill:var(--ink)}svg text{fill:var(--ink)}
.row{display:flex;flex-wrap:wrap;gap:.5rem 2rem;align-items:flex-start}
.row>div{flex:1 1 20rem;min-width:0}.row>figure{flex:0 1 auto}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));gap:.9rem}.pictures figure{margin:0}
.verdict{padding:.6rem .9rem;border-left:5px solid;max-width:none;border-radius:0 4px 4px 0}
.verdict::before{font-weight:700;margin-right:.5rem}
.good{background:var(--good);border-color:var(--good-ink)}.good::before{content:"\\2713";color:var(--good-ink)}
.weak{background:var(--weak);border-color:var(--weak-ink)}.weak::before{content:"!";color:var(--weak-ink)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(24rem,100%),1fr));gap:1rem;margin:1rem 0}
.cards>div{background:var(--card);border-radius:6px;padding:.7rem 1rem;border:1px solid var(--rule)}
.cards h3{margin:.1rem 0 .3rem}.cards ul{padding-left:1.1rem;font-size:.93rem}
.signature{display:grid;grid-template-columns:2fr 2fr 1fr;gap:2rem;margin-top:3.2rem}
.signature div{border-top:1px solid var(--ink);padding-top:.2rem;font-size:.85rem;color:var(--soft)}
@media (max-width:600px){body{padding:1rem .8rem 3rem;font-size:14px}h1{font-size:1.35rem}
td,th{padding-right:.6rem}.signature{grid-template-columns:1fr;gap:2.4rem}}
@media print{@page{size:A4;margin:15mm 14mm 16mm}body{max-width:none;padding:0;font-size:10pt;line-height:1.4}
h1{font-size:17pt}h2{font-size:12.5pt;margin-top:1.3rem}
h2,h3{break-after:avoid}figure,tr,.verdict,.cards>div,.signature{break-inside:avoid}thead{display:table-header-group}
section>.verdict,p:has(+.wide),p:has(+.digest),p:has(+.pictures),p:has(+h3){break-after:avoid}.facts td{font-size:9.5pt}
p,li{orphans:3;widows:3}.row{display:block}.row>figure{max-width:13cm}.wide{overflow:visible}
.pictures{grid-template-columns:repeat(2,1fr)}
.verdict,.cards>div,svg,img{print-color-adjust:exact;-webkit-print-color-adjust:exact}
td,th{padding-top:.15rem;padding-bottom:.15rem}}
"""
